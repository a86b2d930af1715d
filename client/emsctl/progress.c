/*
 * progress.c: see progress.h.
 */
#include "client/emsctl/progress.h"

#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "client/emsctl/text_out.h"

#define WIDTH_MAX 40
#define LOOK	  256u /* calls between looks at the clock */

static struct {
	const char *verb;
	uint64_t total, next; /* ns: when to draw again */
	unsigned calls;
	bool shown, drawn;
} bar;

void progress_begin(const char *verb, uint64_t total)
{
	bar.verb = verb;
	bar.total = total;
	bar.shown = isatty(STDERR_FILENO);
	bar.next = clock_now() + NS_PER_S / 4; /* what is done at once needs none */
}

static int bar_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return WIDTH_MAX;
	return size.ws_col < 60 ? 0 : WIDTH_MAX;
}

static void draw(uint64_t done)
{
	int width = bar_width(), filled;
	uint64_t part = bar.total ? MIN(done, bar.total) : 0;

	fputs("\r\033[K", stderr);
	text_print(stderr, bar.verb, TEXT_ON_A_LINE);
	if (bar.total == 0) {
		fprintf(stderr, "  %llu", (unsigned long long)done);
	} else {
		filled = (int)((double)part / (double)bar.total * width);
		fputs("  ", stderr);
		for (int i = 0; i < width; i++)
			fputs(i < filled ? "█" : "░", stderr);
		fprintf(stderr, " %3.0f %%", 100.0 * (double)part / (double)bar.total);
	}
	fflush(stderr);
	bar.drawn = true;
}

void progress_at(uint64_t done)
{
	uint64_t now;

	if (!bar.shown || ++bar.calls % LOOK != 0)
		return;
	now = clock_now();
	if (now < bar.next)
		return;
	bar.next = now + NS_PER_S / 10;
	draw(done);
}

void progress_end(void)
{
	if (bar.drawn)
		fputs("\r\033[K", stderr);
	bar.shown = bar.drawn = false;
}

static volatile sig_atomic_t came;

static void note(int number)
{
	came = number;
}

void interrupt_catch(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = note}; /* reads are cut short */

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction old;

		/* nohup, and shells' background jobs, ignore some */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &action, NULL);
	}
}

bool interrupt_came(void)
{
	return came != 0;
}

void interrupt_obey(void)
{
	int number = came;

	if (number == 0)
		return;
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}
