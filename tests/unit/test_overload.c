/* SPDX-License-Identifier: BSD-3-Clause */
/* Overload: steps up and down with patience, and whom each policy takes first. Time is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "overload.h"

#define MS	 1000000u
#define INTERVAL 100

static struct overload overload;
static uint64_t now;
static uint32_t waiting; /* of 1,000 */

static void backlog(struct io *io, uint32_t *in, uint32_t *room)
{
	(void)io;
	*in = waiting;
	*room = 1000;
}

static const struct io_ops seeing = {.backlog = backlog}, blind = {0};
static struct io io;

static void begin(int policy, const struct io_ops *ops)
{
	io.ops = ops;
	now = 1000 * MS;
	waiting = 0;
	overload = (struct overload){0};
	overload_init(&overload, policy, now);
}

/* Some time in which the worker waits for packets so many milliseconds of each interval. Returns the steps made, up less down. */
static int pass(unsigned intervals, unsigned idle_ms)
{
	int steps = 0;
	for (unsigned i = 0; i < intervals; i++) {
		for (unsigned ms = 0; ms < INTERVAL; ms++) {
			now += MS;
			if (ms < idle_ms)
				overload_waited(&overload, now);
			steps += overload_turned(&overload, &io, now);
		}
	}
	return steps;
}

static void a_busy_worker_whose_queue_is_short_is_not_overloaded(void **state)
{
	(void)state;
	begin(OVERLOAD_HEAVY, &seeing);
	waiting = 50;
	assert_int_equal(pass(100, 0), 0);
	assert_int_equal(overload.state.busy_permille, 1000);
	assert_true(overload.watching);
}

static void a_queue_that_fills_makes_a_step_and_another(void **state)
{
	(void)state;
	begin(OVERLOAD_HEAVY, &seeing);
	waiting = 600;
	assert_int_equal(pass(1, 0), 0); /* a burst alone does nothing */
	assert_int_equal(pass(1, 0), 1);
	assert_int_equal(pass(2, 0), 1);
	assert_int_equal(overload.state.step, 2);
	assert_int_equal(pass(100, 0), 3); /* and then all is done that can be */
	assert_int_equal(overload.state.step, 5);
}

static void a_short_burst_makes_no_step(void **state)
{
	(void)state;
	begin(OVERLOAD_NEW, &seeing);
	for (unsigned i = 0; i < 20; i++) {
		waiting = 900;
		assert_int_equal(pass(1, 50), 0);
		waiting = 0;
		assert_int_equal(pass(1, 50), 0);
	}
}

static void steps_are_undone_with_patience(void **state)
{
	(void)state;
	begin(OVERLOAD_NEW, &seeing);
	waiting = 900;
	assert_int_equal(pass(10, 0), 2);
	waiting = 0;
	assert_int_equal(pass(10, 50), 0); /* it may come back at once */
	assert_int_equal(pass(10, 50), -1);
	assert_int_equal(pass(20, 50), -1);
	assert_int_equal(pass(100, 50), 0);
	assert_int_equal(overload.state.step, 0);
	assert_int_equal(overload.state.steps_up, overload.state.steps_down);
	assert_false(overload.watching);
}

static void between_much_and_little_nothing_changes(void **state)
{
	(void)state;
	begin(OVERLOAD_NEW, &seeing);
	waiting = 900;
	pass(2, 0);
	assert_int_equal(overload.state.step, 1);
	waiting = 200;
	assert_int_equal(pass(100, 10), 0);
}

static void without_a_view_of_the_queue_no_pause_at_all_counts(void **state)
{
	(void)state;
	begin(OVERLOAD_NEW, &blind);
	assert_int_equal(pass(50, 2), 0);
	assert_int_equal(pass(4, 0), 0);
	assert_int_equal(pass(2, 0), 1);
}

static void none_says_so_and_bypasses_nothing(void **state)
{
	(void)state;
	begin(OVERLOAD_NONE, &seeing);
	waiting = 900;
	assert_int_equal(pass(20, 0), 1);
	for (uint32_t i = 0; i < 1000; i++)
		assert_false(overload_weigh(&overload, i, i * 2654435761u, 1500, true));
}

static void new_takes_half_of_the_new_flows_then_all(void **state)
{
	(void)state;
	unsigned taken = 0;
	begin(OVERLOAD_NEW, &seeing);
	waiting = 900;
	pass(2, 0);
	for (uint32_t i = 0; i < 1000; i++) {
		taken += overload_weigh(&overload, i, i * 2654435761u, 60, true);
		assert_false(overload_weigh(&overload, i, i * 2654435761u, 60, false)); /* an old one goes on */
	}
	assert_in_range(taken, 400, 600);
	pass(2, 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(overload_weigh(&overload, 5000 + i, i * 2654435761u, 60, true));
}

/* One interval in which flow 1 brings half of the bytes, flow 2 a tenth, and the others the rest. */
static unsigned weigh_mix(unsigned *first, unsigned *second)
{
	unsigned others = 0;
	for (uint32_t i = 0; i < 10000; i++) {
		if (i % 10 < 5)
			*first += overload_weigh(&overload, 1, 0x100, 1000, false);
		else if (i % 10 == 5)
			*second += overload_weigh(&overload, 2, 0x200, 1000, false);
		else
			others += overload_weigh(&overload, 100 + i, 0x300 + i * 2654435761u, 1000, false);
	}
	return others;
}

static void heavy_takes_the_heaviest_first(void **state)
{
	(void)state;
	unsigned first = 0, second = 0, others = 0;
	begin(OVERLOAD_HEAVY, &seeing);
	waiting = 900;
	pass(1, 0);
	others = weigh_mix(&first, &second);
	assert_int_equal(first + second + others, 0); /* no step yet */
	assert_int_equal(pass(1, 0), 1);
	others = weigh_mix(&first, &second);
	assert_int_equal(first, 1);
	assert_int_equal(second + others, 0);
	pass(1, 0);
	assert_int_equal(overload.state.step, 1);
	weigh_mix(&first, &second);
	assert_int_equal(pass(1, 0), 1); /* not enough: more than a thirty-second is too much now */
	others = weigh_mix(&first, &second);
	assert_int_equal(second, 1);
	assert_int_equal(others, 0);
	assert_int_equal(overload.state.flows, first + second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_busy_worker_whose_queue_is_short_is_not_overloaded),
		cmocka_unit_test(a_queue_that_fills_makes_a_step_and_another),
		cmocka_unit_test(a_short_burst_makes_no_step),
		cmocka_unit_test(steps_are_undone_with_patience),
		cmocka_unit_test(between_much_and_little_nothing_changes),
		cmocka_unit_test(without_a_view_of_the_queue_no_pause_at_all_counts),
		cmocka_unit_test(none_says_so_and_bypasses_nothing),
		cmocka_unit_test(new_takes_half_of_the_new_flows_then_all),
		cmocka_unit_test(heavy_takes_the_heaviest_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
