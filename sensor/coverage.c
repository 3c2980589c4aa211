/* SPDX-License-Identifier: BSD-3-Clause */
#include "coverage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "eve.h"

int coverage_begin(struct coverage *coverage, uint64_t wall_ns, uint64_t mono_ns)
{
	uint8_t r[16];
	memset(coverage, 0, sizeof(*coverage));
	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		return -EIO;
	r[6] = (uint8_t)(0x40 | (r[6] & 0x0f)); /* RFC 9562, 5.4 */
	r[8] = (uint8_t)(0x80 | (r[8] & 0x3f));
	snprintf(coverage->boot, sizeof(coverage->boot),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4],
		 r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
	coverage->from_ns = wall_ns;
	coverage->started_ns = coverage->mono_ns = mono_ns;
	return 0;
}

struct coverage_counts coverage_count(const struct account *account)
{
	const struct worker_tally *t = &account->tally;
	const struct io_port_stats *ports = &account->all_ports;
	return (struct coverage_counts){
		.seen = t->received + ports->bypassed + ports->refused + ports->missed,
		.inspected = t->received - t->bypassed,
		.bypassed = t->bypassed + ports->bypassed,
		.refused = ports->refused,
		.lost = ports->missed,
		.forwarded = t->forwarded + t->bypassed + ports->bypassed,
		.dropped = t->dropped + ports->refused,
		.bytes = t->bytes,
	};
}

/* A count that falls (a device was closed badly) is not a huge number. */
static void put_growth(struct json *j, const char *name, uint64_t now, uint64_t before)
{
	jw_uint(j, name, now > before ? now - before : 0);
}

static void put_counts(struct json *j, const struct coverage_counts *now, const struct coverage_counts *before)
{
	jw_object(j, "packets");
	put_growth(j, "seen", now->seen, before->seen);
	put_growth(j, "inspected", now->inspected, before->inspected);
	put_growth(j, "bypassed", now->bypassed, before->bypassed);
	put_growth(j, "refused", now->refused, before->refused);
	put_growth(j, "lost", now->lost, before->lost);
	put_growth(j, "forwarded", now->forwarded, before->forwarded);
	put_growth(j, "dropped", now->dropped, before->dropped);
	jw_close(j);
	put_growth(j, "bytes", now->bytes, before->bytes);
}

static void put_policy(struct json *j, const struct coverage_policy *policy)
{
	jw_object(j, "rules");
	jw_uint(j, "edition", policy->edition);
	jw_uint(j, "loaded", policy->rules_loaded);
	jw_hex(j, "sha256", policy->rules, COVERAGE_DIGEST_BYTES);
	jw_close(j);
	jw_object(j, "policy");
	jw_hex(j, "sha256", policy->policy, COVERAGE_DIGEST_BYTES);
	jw_close(j);
}

void record_coverage(struct records *records, struct coverage *c, const struct coverage_counts *now,
		     const struct coverage_policy *policy, uint64_t wall_ns, uint64_t mono_ns, bool last)
{
	struct json *j = &records->json;
	if (!records->on[RECORD_COVERAGE])
		return;
	jw_begin(j);
	jw_time(j, "timestamp", wall_ns);
	jw_string(j, "event_type", "coverage");
	jw_object(j, "coverage");
	jw_uint(j, "v", 1);
	jw_string(j, "boot", c->boot);
	jw_uint(j, "number", ++c->number);
	jw_hex(j, "previous", c->previous, sizeof(c->previous));
	jw_time(j, "from", c->from_ns);
	jw_time(j, "until", wall_ns);
	/* microseconds on a clock that nobody sets: where it and the other differ, somebody has set the other */
	jw_uint(j, "since_start", (mono_ns - c->started_ns) / 1000);
	jw_uint(j, "length", (mono_ns - c->mono_ns) / 1000);
	put_counts(j, now, &c->before);
	put_policy(j, policy);
	if (last)
		jw_bool(j, "last", true);
	jw_close(j);
	eve_end(records);
	/* of the line without its end; also where it could not be written: the gap is to show */
	if (j->len == 0 || !EVP_Digest(j->buf, j->len - 1, c->previous, NULL, EVP_sha256(), NULL))
		memset(c->previous, 0xff, sizeof(c->previous));
	c->from_ns = wall_ns;
	c->mono_ns = mono_ns;
	c->before = *now;
}
