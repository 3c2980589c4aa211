/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/session.h"

static void flow_ports(const struct flow *flow, uint16_t ports[static 2])
{
	ports[0] = flow ? flow->key.port[0] : 0;
	ports[1] = flow ? flow->key.port[1] : 0;
}

enum recognition app_recognise(struct app_session *session, struct bytes data, enum direction dir, bool udp, bool last)
{
	uint16_t ports[2];
	bool maybe = false;

	flow_ports(session->flow, ports);
	if (data.len >= APP_PROBE_BYTES) {
		data.len = APP_PROBE_BYTES;
		last = true;
	}
	for (const struct app_proto *const *p = app_protos(); *p; p++) {
		if (udp ? !(*p)->udp : !(*p)->tcp)
			continue;
		switch ((*p)->probe(data, dir, udp, ports)) {
		case APP_PROBE_YES:
			session->id[dir] = (*p)->id;
			return RECOGNITION_SETTLED;
		case APP_PROBE_MAYBE:
			maybe = true;
			break;
		case APP_PROBE_NO:
			break;
		}
	}
	return maybe && !last && !udp ? RECOGNITION_WAIT : RECOGNITION_NONE;
}
