/* SPDX-License-Identifier: BSD-3-Clause */
#include <dataplane/flow.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <dataplane/slab.h>

#define SECOND_NS 1000000000ull
/* Timeout classes: tcp, udp, icmp, other. */
#define PROTOS 4
#define STATES (FLOW_BYPASSED + 1)
#define QUEUES (PROTOS * STATES)
/* A flow moves in its queue at most this often: its neighbours stay out of the cache, and the order is right to a second. */
#define REQUEUE_NS SECOND_NS
/* Idle flows that a packet which finds the table full may end: enough to get one, and bounded. */
#define EVICT_BUDGET 16
/* Ids are below 2^51, so that a reader which keeps numbers as doubles does not round them. */
#define ID_BITS 51

/* Flows of one protocol class and state, the one idle for longest first. */
struct flow_queue {
	struct flow *first, *last;
	uint64_t idle_ns;
};

struct flow_table {
	struct flow **buckets;
	uint32_t mask;
	uint64_t seed;
	uint64_t id_next, id_key;
	struct slab *slab;
	struct counters *counters;
	flow_end_cb on_end;
	void *user;
	struct flow_config config;
	struct flow_queue queues[QUEUES];
	unsigned expire_next; /* queue at which flow_expire goes on */
};

void flow_config_defaults(struct flow_config *config)
{
	*config = (struct flow_config){
		.memory_bytes = 128u << 20,
		.buckets = 65536,
		.vlan_in_key = true,
		.memcap_policy = EXCEPTION_IGNORE,
		.tcp = {.new_ns = 60 * SECOND_NS, .established_ns = 600 * SECOND_NS, .closed_ns = 10 * SECOND_NS},
		.udp = {.new_ns = 30 * SECOND_NS, .established_ns = 300 * SECOND_NS, .closed_ns = 0},
		.icmp = {.new_ns = 30 * SECOND_NS, .established_ns = 300 * SECOND_NS, .closed_ns = 0},
		.other = {.new_ns = 30 * SECOND_NS, .established_ns = 300 * SECOND_NS, .closed_ns = 0},
	};
}

/* --- keys ------------------------------------------------------------------------------------------------------------ */

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* Of a question and its answer the question's type, so that both have the same key. */
static uint8_t icmp_pair(uint8_t proto, uint8_t type)
{
	if (proto == IPPROTO_ICMP) {
		switch (type) {
		case 0: /* echo reply */
			return 8;
		case 9: /* router advertisement */
			return 10;
		case 14: /* timestamp reply */
		case 16: /* information reply */
		case 18: /* address mask reply */
			return (uint8_t)(type - 1);
		default:
			return type;
		}
	}
	switch (type) {
	case 129: /* echo reply */
	case 131: /* listener report */
	case 134: /* router advertisement */
	case 136: /* neighbour advertisement */
	case 140: /* node information response */
		return (uint8_t)(type - 1);
	default:
		return type;
	}
}

static void key_vlans(const struct flow_table *table, const struct packet *pkt, struct flow_key *key)
{
	if (!table->config.vlan_in_key)
		return;
	key->vlan[0] = pkt->vlan_count > 0 ? pkt->vlan[0] : 0;
	key->vlan[1] = pkt->vlan_count > 1 ? pkt->vlan[1] : 0;
	key->pad = pkt->vlan_count > 2 ? pkt->vlan[2] : 0;
}

/* The packet's key as if its sender were the client. */
static void key_of_packet(const struct flow_table *table, const struct packet *pkt, struct flow_key *key)
{
	*key = (struct flow_key){.proto = pkt->proto, .family = pkt->family};
	key->addr[0] = pkt->src;
	key->addr[1] = pkt->dst;
	if (is_icmp(pkt->proto)) {
		key->port[0] = icmp_pair(pkt->proto, pkt->icmp.type);
		key->port[1] = pkt->icmp.has_id ? pkt->icmp.id : 0;
	} else {
		key->port[0] = pkt->sport;
		key->port[1] = pkt->dport;
	}
	key_vlans(table, pkt, key);
}

static void key_of_quoted(const struct flow_table *table, const struct packet *pkt, struct flow_key *key)
{
	*key = (struct flow_key){.proto = pkt->quoted.proto, .family = pkt->family};
	key->addr[0] = pkt->quoted.src;
	key->addr[1] = pkt->quoted.dst;
	key->port[0] = pkt->quoted.sport;
	key->port[1] = pkt->quoted.dport;
	key_vlans(table, pkt, key);
}

static struct flow_key key_reversed(const struct flow_key *key)
{
	struct flow_key r = *key;
	r.addr[0] = key->addr[1];
	r.addr[1] = key->addr[0];
	if (!is_icmp(key->proto)) {
		r.port[0] = key->port[1];
		r.port[1] = key->port[0];
	}
	return r;
}

static bool key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The same for both directions: of a key and its reverse the smaller one is hashed. */
static uint32_t key_hash(const struct flow_table *table, const struct flow_key *key)
{
	int order = memcmp(&key->addr[0], &key->addr[1], sizeof(key->addr[0]));
	if (order == 0 && !is_icmp(key->proto))
		order = key->port[0] < key->port[1] ? -1 : 1;
	uint64_t h;
	if (order <= 0) {
		h = XXH3_64bits_withSeed(key, sizeof(*key), table->seed);
	} else {
		struct flow_key r = key_reversed(key);
		h = XXH3_64bits_withSeed(&r, sizeof(r), table->seed);
	}
	return (uint32_t)(h ^ h >> 32);
}

/* Whether flows are kept for such a packet. */
static bool has_flow(const struct packet *pkt)
{
	if (pkt->family == 0 || pkt->flags & (PACKET_FRAGMENT | PACKET_INVALID | PACKET_FLOW_END))
		return false;
	switch (pkt->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return pkt->l4 != NULL;
	case IPPROTO_ESP:
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		return true;
	default:
		/* GRE, IGMP, routing protocols: no exchange between two ends, so that each packet stands for itself */
		return false;
	}
}

/* --- timeout queues -------------------------------------------------------------------------------------------------- */

static unsigned proto_class(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 0;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return 1;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return 3;
	}
}

static struct flow_queue *queue_of(struct flow_table *table, const struct flow *flow)
{
	return &table->queues[proto_class(flow->key.proto) * STATES + flow->state];
}

static void queues_init(struct flow_table *table)
{
	const struct flow_config *c = &table->config;
	const uint64_t idle[PROTOS][STATES] = {
		{c->tcp.new_ns, c->tcp.established_ns, c->tcp.closed_ns, c->tcp.established_ns},
		{c->udp.new_ns, c->udp.established_ns, c->udp.closed_ns, c->udp.established_ns},
		{c->icmp.new_ns, c->icmp.established_ns, c->icmp.closed_ns, c->icmp.established_ns},
		{c->other.new_ns, c->other.established_ns, c->other.closed_ns, c->other.established_ns},
	};
	for (unsigned i = 0; i < QUEUES; i++)
		table->queues[i].idle_ns = idle[i / STATES][i % STATES];
}

static void queue_append(struct flow_queue *queue, struct flow *flow)
{
	flow->lru_next = NULL;
	flow->lru_prev = queue->last;
	if (queue->last)
		queue->last->lru_next = flow;
	else
		queue->first = flow;
	queue->last = flow;
}

static void queue_unlink(struct flow_queue *queue, struct flow *flow)
{
	if (flow->lru_prev)
		flow->lru_prev->lru_next = flow->lru_next;
	else
		queue->first = flow->lru_next;
	if (flow->lru_next)
		flow->lru_next->lru_prev = flow->lru_prev;
	else
		queue->last = flow->lru_prev;
}

/* Packet time may step back; a flow is then simply not idle. */
static bool is_idle(const struct flow_queue *queue, const struct flow *flow, uint64_t now_ns)
{
	return now_ns > flow->last_ns && now_ns - flow->last_ns > queue->idle_ns;
}

/* --- a table --------------------------------------------------------------------------------------------------------- */

static uint32_t bucket_count(uint32_t wanted)
{
	uint32_t n = 1024;
	while (n < wanted && n < 1u << 28)
		n <<= 1;
	return n;
}

struct flow_table *flow_table_new(const struct flow_config *config, struct counters *counters, flow_end_cb on_end,
				  void *user)
{
	struct flow_table *table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	table->config = *config;
	table->counters = counters;
	table->on_end = on_end;
	table->user = user;
	uint64_t random[2];
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		goto err_table;
	table->seed = config->hash_seed ? config->hash_seed : random[0];
	table->id_key = config->hash_seed ? config->hash_seed : random[1];
	uint32_t buckets = bucket_count(config->buckets);
	table->mask = buckets - 1;
	table->buckets = calloc(buckets, sizeof(struct flow *));
	if (!table->buckets)
		goto err_table;
	table->slab = slab_new("flows", config->memory_bytes);
	if (!table->slab)
		goto err_buckets;
	queues_init(table);
	return table;
err_buckets:
	free(table->buckets);
err_table:
	free(table);
	return NULL;
}

void flow_table_configure(struct flow_table *table, const struct flow_config *config)
{
	struct flow_config *c = &table->config;
	c->memcap_policy = config->memcap_policy;
	c->tcp = config->tcp;
	c->udp = config->udp;
	c->icmp = config->icmp;
	c->other = config->other;
	queues_init(table);
}

bool flow_walk(struct flow_table *table, uint32_t *bucket, unsigned budget, void (*each)(void *user, struct flow *flow),
	       void *user)
{
	for (; budget > 0 && *bucket <= table->mask; budget--, ++*bucket)
		for (struct flow *flow = table->buckets[*bucket]; flow; flow = flow->hash_next)
			each(user, flow);
	return *bucket <= table->mask;
}

void flow_table_free(struct flow_table *table)
{
	if (!table)
		return;
	flow_drain(table, FLOW_END_SHUTDOWN);
	slab_free_all(table->slab);
	free(table->buckets);
	free(table);
}

static void bucket_unlink(struct flow_table *table, struct flow *flow)
{
	struct flow **link = &table->buckets[flow->hash & table->mask];
	while (*link != flow)
		link = &(*link)->hash_next;
	*link = flow->hash_next;
}

void flow_remove(struct flow_table *table, struct flow *flow, enum flow_end why)
{
	bucket_unlink(table, flow);
	queue_unlink(queue_of(table, flow), flow);
	flow->flags |= FLOW_ENDING;
	if (table->on_end)
		table->on_end(table->user, flow, why);
	count_add(table->counters, COUNTER_FLOW_ACTIVE, (uint64_t)-1);
	if (why == FLOW_END_TIMEOUT)
		count(table->counters, COUNTER_FLOW_TIMED_OUT);
	else if (why == FLOW_END_EVICTED)
		count(table->counters, COUNTER_FLOW_EVICTED);
	slab_free(table->slab, flow, sizeof(*flow));
}

void flow_expire(struct flow_table *table, uint64_t now_ns, unsigned budget)
{
	for (unsigned n = 0; n < QUEUES && budget > 0; n++) {
		struct flow_queue *queue = &table->queues[table->expire_next];
		while (budget > 0 && queue->first && is_idle(queue, queue->first, now_ns)) {
			flow_remove(table, queue->first, FLOW_END_TIMEOUT);
			budget--;
		}
		if (budget > 0)
			table->expire_next = (table->expire_next + 1) % QUEUES;
	}
}

void flow_drain(struct flow_table *table, enum flow_end why)
{
	for (unsigned i = 0; i < QUEUES; i++)
		while (table->queues[i].first)
			flow_remove(table, table->queues[i].first, why);
}

/* Makes room in a full table without harm to the living: who is idle past its time, then closed connections. */
static bool evict(struct flow_table *table, uint64_t now_ns)
{
	uint64_t active = table->counters->value[COUNTER_FLOW_ACTIVE];
	flow_expire(table, now_ns, EVICT_BUDGET);
	if (table->counters->value[COUNTER_FLOW_ACTIVE] < active)
		return true;
	for (unsigned class = 0; class < PROTOS; class ++) {
		struct flow_queue *queue = &table->queues[class * STATES + FLOW_CLOSED];
		if (queue->first) {
			flow_remove(table, queue->first, FLOW_END_EVICTED);
			return true;
		}
	}
	return false;
}

/* --- a flow ---------------------------------------------------------------------------------------------------------- */

/* A bijection on ID_BITS bits, so that ids look random and never repeat within a run. */
static uint64_t next_id(struct flow_table *table)
{
	const uint64_t mask = (1ull << ID_BITS) - 1;
	uint64_t x = (++table->id_next + table->id_key) & mask;
	x = x * 0x9e3779b97f4a7c15ull & mask;
	x ^= x >> (ID_BITS / 2 + 1);
	x = x * 0xbf58476d1ce4e5b9ull & mask;
	return x ^ x >> (ID_BITS / 2 + 1);
}

static void count_new(struct flow_table *table, const struct flow *flow)
{
	count(table->counters, COUNTER_FLOW_TOTAL);
	count(table->counters, COUNTER_FLOW_ACTIVE);
	switch (flow->key.proto) {
	case IPPROTO_TCP:
		count(table->counters, COUNTER_FLOW_TCP);
		break;
	case IPPROTO_UDP:
		count(table->counters, COUNTER_FLOW_UDP);
		break;
	case IPPROTO_ICMP:
		count(table->counters, COUNTER_FLOW_ICMPV4);
		break;
	case IPPROTO_ICMPV6:
		count(table->counters, COUNTER_FLOW_ICMPV6);
		break;
	}
}

static struct flow *flow_new(struct flow_table *table, const struct packet *pkt, const struct flow_key *key,
			     uint32_t hash)
{
	struct flow *flow = slab_zalloc(table->slab, sizeof(*flow));
	if (!flow && evict(table, pkt->ts_ns))
		flow = slab_zalloc(table->slab, sizeof(*flow));
	if (!flow)
		return NULL;
	flow->hash = hash;
	flow->key = *key;
	flow->state = FLOW_NEW;
	flow->first_ns = flow->last_ns = pkt->ts_ns;
	flow->id = next_id(table);
	flow->input_port = pkt->port;
	if (pkt->flags & PACKET_TUNNELLED && pkt->root && pkt->root->flow)
		flow->parent_id = pkt->root->flow->id;
	struct flow **bucket = &table->buckets[hash & table->mask];
	flow->hash_next = *bucket;
	*bucket = flow;
	queue_append(queue_of(table, flow), flow);
	count_new(table, flow);
	return flow;
}

static struct flow *flow_find(struct flow_table *table, const struct flow_key *key, uint32_t hash, enum direction *dir)
{
	for (struct flow *flow = table->buckets[hash & table->mask]; flow; flow = flow->hash_next) {
		if (flow->hash != hash)
			continue;
		if (key_equal(&flow->key, key)) {
			*dir = TO_SERVER;
			return flow;
		}
		struct flow_key reversed = key_reversed(key);
		if (key_equal(&flow->key, &reversed)) {
			*dir = TO_CLIENT;
			return flow;
		}
	}
	return NULL;
}

static void touch(struct flow_table *table, struct flow *flow, uint64_t ts_ns)
{
	if (ts_ns <= flow->last_ns)
		return;
	uint64_t before = flow->last_ns;
	flow->last_ns = ts_ns;
	struct flow_queue *queue = queue_of(table, flow);
	if (ts_ns / REQUEUE_NS != before / REQUEUE_NS && queue->last != flow) {
		queue_unlink(queue, flow);
		queue_append(queue, flow);
	}
}

/* What a tunnelled packet weighs is its own datagram, not the frame around it. */
static uint32_t packet_bytes(const struct packet *pkt)
{
	bool inner = pkt->flags & PACKET_TUNNELLED && pkt->root && pkt->root != pkt && pkt->root->data == pkt->data;
	return inner ? pkt->l3_len : pkt->wire_len ? pkt->wire_len : pkt->len;
}

static void note_first(struct flow *flow, struct packet *pkt)
{
	flow->flags |= pkt->dir == TO_SERVER ? FLOW_SEEN_TO_SERVER : FLOW_SEEN_TO_CLIENT;
	pkt->flags |= pkt->dir == TO_SERVER ? PACKET_FIRST_TO_SERVER : PACKET_FIRST_TO_CLIENT;
	if (is_icmp(pkt->proto)) {
		flow->icmp_type[pkt->dir] = pkt->icmp.type;
		flow->icmp_code[pkt->dir] = pkt->icmp.code;
	}
	flow->ttl_min[pkt->dir] = flow->ttl_max[pkt->dir] = pkt->ttl;
	if (pkt->l2 && !flow->has_mac) {
		memcpy(flow->mac[pkt->dir], pkt->l2 + 6, 6);
		memcpy(flow->mac[1 - pkt->dir], pkt->l2, 6);
		flow->has_mac = true;
	}
}

static void flow_update(struct flow_table *table, struct flow *flow, struct packet *pkt)
{
	enum direction dir = pkt->dir;
	uint32_t seen = dir == TO_SERVER ? FLOW_SEEN_TO_SERVER : FLOW_SEEN_TO_CLIENT;
	touch(table, flow, pkt->ts_ns);
	flow->packets[dir]++;
	flow->last_number[dir] = pkt->number;
	flow->bytes[dir] += packet_bytes(pkt);
	/* an error is about the flow, it does not show that the other side answers */
	if (!(flow->flags & seen) && !(pkt->flags & PACKET_ICMP_ERROR && !is_icmp(flow->key.proto)))
		note_first(flow, pkt);
	if (pkt->ttl < flow->ttl_min[dir])
		flow->ttl_min[dir] = pkt->ttl;
	if (pkt->ttl > flow->ttl_max[dir])
		flow->ttl_max[dir] = pkt->ttl;
	if (pkt->proto == IPPROTO_TCP)
		flow->tcp_flags[dir] |= pkt->tcp.flags;
	if (flow->state == FLOW_ESTABLISHED) {
		pkt->flags |= PACKET_ESTABLISHED;
	} else if (flow->key.proto != IPPROTO_TCP && flow->flags & FLOW_SEEN_TO_SERVER &&
		   flow->flags & FLOW_SEEN_TO_CLIENT) {
		pkt->flags |= PACKET_ESTABLISHED;
		if (flow->state == FLOW_NEW)
			flow_set_state(table, flow, FLOW_ESTABLISHED);
	}
}

/* The flow that an ICMP error speaks of: the error goes against the packet that it quotes. */
static struct flow *find_quoted(struct flow_table *table, struct packet *pkt)
{
	struct flow_key key;
	enum direction dir;
	if (pkt->quoted.proto == 0)
		return NULL;
	key_of_quoted(table, pkt, &key);
	struct flow *flow = flow_find(table, &key, key_hash(table, &key), &dir);
	if (flow)
		pkt->dir = direction_opposite(dir);
	return flow;
}

struct flow *flow_lookup(struct flow_table *table, struct packet *pkt, bool *full)
{
	*full = false;
	pkt->flow = NULL;
	if (!has_flow(pkt))
		return NULL;
	if (pkt->flags & PACKET_ICMP_ERROR) {
		pkt->flow = find_quoted(table, pkt);
		if (pkt->flow)
			flow_update(table, pkt->flow, pkt);
		return pkt->flow;
	}
	struct flow_key key;
	enum direction dir = TO_SERVER;
	key_of_packet(table, pkt, &key);
	uint32_t hash = key_hash(table, &key);
	struct flow *flow = flow_find(table, &key, hash, &dir);
	if (flow && is_idle(queue_of(table, flow), flow, pkt->ts_ns)) {
		flow_remove(table, flow, FLOW_END_TIMEOUT);
		flow = NULL;
		dir = TO_SERVER;
	}
	if (!flow) {
		flow = flow_new(table, pkt, &key, hash);
		if (!flow) {
			count(table->counters, COUNTER_FLOW_MEMCAP);
			*full = true;
			return NULL;
		}
		pkt->flags |= PACKET_FLOW_FIRST;
	}
	pkt->flow = flow;
	pkt->dir = dir;
	flow_update(table, flow, pkt);
	return flow;
}

void flow_prefetch(struct flow_table *table, const struct packet *pkt)
{
	if (!has_flow(pkt))
		return;
	struct flow_key key;
	key_of_packet(table, pkt, &key);
	__builtin_prefetch(&table->buckets[key_hash(table, &key) & table->mask]);
}

static void swap_u8(uint8_t pair[static 2])
{
	uint8_t t = pair[0];
	pair[0] = pair[1];
	pair[1] = t;
}

static void swap_u64(uint64_t pair[static 2])
{
	uint64_t t = pair[0];
	pair[0] = pair[1];
	pair[1] = t;
}

void flow_swap(struct flow *flow)
{
	/* the hash is symmetric: the flow stays in its bucket */
	flow->key = key_reversed(&flow->key);
	uint32_t seen = 0;
	if (flow->flags & FLOW_SEEN_TO_SERVER)
		seen |= FLOW_SEEN_TO_CLIENT;
	if (flow->flags & FLOW_SEEN_TO_CLIENT)
		seen |= FLOW_SEEN_TO_SERVER;
	flow->flags = (flow->flags & ~(uint32_t)(FLOW_SEEN_TO_SERVER | FLOW_SEEN_TO_CLIENT)) | seen;
	flow->flags ^= FLOW_SWAPPED;
	swap_u8(flow->icmp_type);
	swap_u8(flow->icmp_code);
	swap_u8(flow->ttl_min);
	swap_u8(flow->ttl_max);
	swap_u8(flow->tcp_flags);
	swap_u64(flow->packets);
	swap_u64(flow->bytes);
	swap_u64(flow->last_number);
	uint8_t mac[6];
	memcpy(mac, flow->mac[0], 6);
	memcpy(flow->mac[0], flow->mac[1], 6);
	memcpy(flow->mac[1], mac, 6);
}

void flow_set_state(struct flow_table *table, struct flow *flow, enum flow_state state)
{
	if (flow->state == state)
		return;
	queue_unlink(queue_of(table, flow), flow);
	flow->state = (uint16_t)state;
	queue_append(queue_of(table, flow), flow);
}
