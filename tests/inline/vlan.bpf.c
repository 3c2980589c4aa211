/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * Gives a lab's host a tag on its wire where the kernel has no VLAN interfaces: put on by what leaves, taken off what comes.
 * Loaded by tc(8) as a classifier; freestanding, so that the compiler is all it needs.
 */
#define SECTION(name) __attribute__((section(name), used))
#define VLAN_8021Q    0x0081 /* in network order */
#define TAG	      7
#define TC_ACT_OK     0
#define TC_ACT_SHOT   2

struct __sk_buff;
static long (*const skb_vlan_push)(struct __sk_buff *skb, unsigned short proto, unsigned short tci) = (void *)18;
static long (*const skb_vlan_pop)(struct __sk_buff *skb) = (void *)19;

SECTION("tc/push") int push(struct __sk_buff *skb)
{
	return skb_vlan_push(skb, VLAN_8021Q, TAG) == 0 ? TC_ACT_OK : TC_ACT_SHOT;
}

SECTION("tc/pop") int pop(struct __sk_buff *skb)
{
	return skb_vlan_pop(skb) == 0 ? TC_ACT_OK : TC_ACT_SHOT;
}

char _license[] SECTION("license") = "Dual BSD/GPL";
