/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The decoder: its pool of packets, and the walk from a frame or a datagram to the end of its layers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decode_layers.h"

void decode_config_defaults(struct decode_config *config)
{
	*config = (struct decode_config){
		.vxlan_ports = {4789},
		.geneve_ports = {6081},
		.teredo_ports = {3544},
		.teredo = true,
		.vxlan = true,
		.geneve = true,
		.check_checksums = true,
	};
}

static void mark_ports(struct decoder *d, bool on, const uint16_t ports[static DECODE_PORTS_MAX])
{
	for (unsigned i = 0; on && i < DECODE_PORTS_MAX && ports[i]; i++)
		d->udp_ports[ports[i] >> 6] |= 1ull << (ports[i] & 63);
}

struct decoder *decoder_new(const struct decode_config *config, struct counters *counters)
{
	struct decoder *d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->pool = calloc(DECODE_POOL_PKTS, sizeof(*d->pool));
	if (!d->pool) {
		free(d);
		errno = ENOMEM;
		return NULL;
	}
	d->config = *config;
	d->counters = counters;
	mark_ports(d, config->vxlan, config->vxlan_ports);
	mark_ports(d, config->geneve, config->geneve_ports);
	mark_ports(d, config->teredo, config->teredo_ports);
	return d;
}

void decoder_free(struct decoder *decoder)
{
	if (!decoder)
		return;
	free(decoder->pool);
	free(decoder);
}

struct packet *decoder_packet(struct decoder *decoder)
{
	if (decoder->used == DECODE_POOL_PKTS)
		return NULL;
	struct packet *pkt = &decoder->pool[decoder->used++];
	memset(pkt, 0, sizeof(*pkt));
	return pkt;
}

void decoder_recycle(struct decoder *decoder)
{
	decoder->used = 0;
}

/* Clears what the layers may leave unset. The TCP fields and the quoted tuple are valid only where a protocol or a flag says so,
 * and the decoder of that protocol sets them all; the backend's words are not ours. */
static void packet_clear(struct packet *pkt)
{
	_Static_assert(offsetof(struct packet, l2) < offsetof(struct packet, tcp), "order of fields");
	_Static_assert(offsetof(struct packet, flags) < offsetof(struct packet, backend), "order of fields");
	memset(&pkt->l2, 0, offsetof(struct packet, tcp) - offsetof(struct packet, l2));
	pkt->icmp = (struct packet_icmp){0};
	memset(&pkt->flags, 0, offsetof(struct packet, backend) - offsetof(struct packet, flags));
}

static void count_events(struct counters *counters, const struct event_set *events)
{
	for (unsigned w = 0; w < EVENT_WORDS; w++)
		for (uint64_t bits = events->bits[w]; bits; bits &= bits - 1)
			counters->event[w * 64 + (unsigned)__builtin_ctzll(bits)]++;
}

/* Once the whole chain is decoded. */
static void count_anomalies(struct decoder *d, const struct packet *pkt)
{
	for (; pkt; pkt = pkt->inner) {
		if (pkt->flags & PACKET_INVALID)
			count(d->counters, COUNTER_DECODER_INVALID);
		if (__builtin_expect(event_set_any(&pkt->events), 0))
			count_events(d->counters, &pkt->events);
	}
}

void decode_frame(struct decoder *decoder, struct packet *pkt)
{
	packet_clear(pkt);
	pkt->root = pkt;
	decoder->layers = 0;
	decoder->vj = false;
	count(decoder->counters, COUNTER_DECODER_PKTS);
	count_add(decoder->counters, COUNTER_DECODER_BYTES, pkt->len);
	struct cursor c = cursor_of(pkt->data, pkt->len);
	decode_link(decoder, pkt, &c);
	count_anomalies(decoder, pkt);
}

void decode_datagram(struct decoder *decoder, struct packet *pkt)
{
	struct packet kept = *pkt;
	packet_clear(pkt);
	pkt->root = kept.root;
	pkt->l2 = kept.l2;
	pkt->ether_type = kept.ether_type;
	memcpy(pkt->vlan, kept.vlan, sizeof(pkt->vlan));
	pkt->vlan_count = kept.vlan_count;
	pkt->tunnel = kept.tunnel;
	pkt->depth = kept.depth;
	pkt->flags = PACKET_REASSEMBLED | (kept.flags & PACKET_TUNNELLED);
	/* what stood around the fragments was counted with them; a datagram within its fragments' layers starts anew, and cannot
	 * grow without end, for each turn needs fragments that are larger than what they carry */
	decoder->layers = 0;
	decoder->vj = false;
	struct cursor c = cursor_of(pkt->data, pkt->len);
	if (pkt->len > 0 && pkt->data[0] >> 4 == 6)
		decode_ipv6(decoder, pkt, &c);
	else
		decode_ipv4(decoder, pkt, &c);
	count_anomalies(decoder, pkt);
}
