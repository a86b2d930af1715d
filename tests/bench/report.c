/*
 * Figures as a table, each line when it is there, or all of them as one JSON object.
 */
#include <math.h>
#include <string.h>

#include "tests/bench/bench.h"

static struct {
	bool json;
	const struct row *row;
	bool first; /* nothing is in the JSON array yet */
	struct machine machine;
} report = {.first = true};

static const char title[] =
	"row   what                                             measured      limit   ratio   middle half   target   met\n";

void report_machine(bool json)
{
	struct machine *machine = &report.machine;

	report.json = json;
	machine_look(machine);
	if (json) {
		printf("{\"date\": \"%s\", \"processor\": \"%s\", \"processors\": %u, \"memory_gib\": %.1f, \"kernel\": \"%s\", "
		       "\"compiler\": \"%s\", \"version\": \"%s\", \"load\": %.2f,\n \"results\": [",
		       machine->date, machine->processor, machine->processors, machine->memory_gib, machine->kernel,
		       machine->compiler, ems_version(), machine->load);
		return;
	}
	printf("%s, %u processor%s, %.1f GiB; %s; %s; libems %s; %s; load %.2f\n\n", machine->processor,
	       machine->processors, machine->processors == 1 ? "" : "s", machine->memory_gib, machine->kernel,
	       machine->compiler, ems_version(), machine->date, machine->load);
	fputs(title, stdout);
}

void report_begin(const struct row *row)
{
	report.row = row;
}

static void begin_result(const char *what)
{
	printf("%s\n  {\"row\": \"%s\", \"name\": \"%s\", \"what\": \"%s\"", report.first ? "" : ",", report.row->number,
	       report.row->name, what);
	report.first = false;
}

static void print_spread(const char *name, const struct spread *spread)
{
	printf(", \"%s\": {\"median\": %.6g, \"low\": %.6g, \"high\": %.6g, \"least\": %.6g, \"most\": %.6g}", name,
	       spread->median, spread->low, spread->high, spread->least, spread->most);
}

static bool is_of_ratio(const struct figure *figure)
{
	return figure->kind == RATIO_AT_MOST || figure->kind == RATIO_AT_LEAST;
}

static bool is_at_most(const struct figure *figure)
{
	return figure->kind == RATIO_AT_MOST || figure->kind == VALUE_AT_MOST;
}

static bool is_met(const struct figure *figure)
{
	double value = is_of_ratio(figure) ? figure->ratio.median : figure->measured.median;

	return is_at_most(figure) ? value <= figure->target : value >= figure->target;
}

static void print_json(const struct figure *figure)
{
	begin_result(figure->what);
	if (figure->unit)
		printf(", \"unit\": \"%s\"", figure->unit);
	print_spread("measured", &figure->measured);
	if (figure->beside) {
		printf(", \"beside\": \"%s\"", figure->beside);
		print_spread("limit", &figure->limit);
		print_spread("ratio", &figure->ratio);
	}
	if (figure->kind != TARGET_NONE)
		printf(", \"target\": %.6g, \"target_is\": \"%s %s\", \"met\": %s", figure->target,
		       is_of_ratio(figure) ? "ratio" : "measured", is_at_most(figure) ? "at most" : "at least",
		       is_met(figure) ? "true" : "false");
	putchar('}');
}

/* Three digits that say something, and the unit. */
static void print_number(double number, const char *unit, int width)
{
	char text[32];
	int digits = number >= 100 ? 0 : number >= 10 ? 1 : 2;

	snprintf(text, sizeof(text), "%.*f %s", digits, number, unit);
	printf("%*s", width, text);
}

/* Characters, for people; some take more than a byte. */
static void print_padded(const char *text, int width)
{
	for (const char *c = text; *c; c++)
		width -= (*c & 0xc0) != 0x80;
	printf("%s%*s", text, width > 0 ? width : 0, "");
}

static void begin_line(const char *what)
{
	print_padded(report.row->number, 5);
	putchar(' ');
	print_padded(what, 44);
}

static void print_line(const struct figure *figure)
{
	begin_line(figure->what);
	print_number(figure->measured.median, figure->unit, 13);
	if (figure->beside) {
		print_number(figure->limit.median, figure->unit, 11);
		printf(" %7.2f  %5.2f..%-6.2f", figure->ratio.median, figure->ratio.low, figure->ratio.high);
	} else {
		printf("%11s %7s  (%.3g..%.3g)", "-", "-", figure->measured.low, figure->measured.high);
	}
	if (figure->kind != TARGET_NONE)
		printf("  %s %-5.4g  %s", is_at_most(figure) ? "≤" : "≥", figure->target, is_met(figure) ? "yes" : "NO");
	if (figure->beside)
		printf("   beside %s", figure->beside);
	putchar('\n');
	fflush(stdout);
}

void report_figure(const struct figure *figure)
{
	if (report.json)
		print_json(figure);
	else
		print_line(figure);
}

void report_missing(const char *what, const char *why)
{
	if (report.json) {
		begin_result(what);
		printf(", \"missing\": \"%s\"}", why);
		return;
	}
	begin_line(what);
	printf("  not measured: %s\n", why);
}

void report_point(const char *curve, const char *x_name, double x, const char *unit, const struct spread *y)
{
	if (report.json) {
		begin_result(curve);
		printf(", \"x_name\": \"%s\", \"x\": %.6g, \"unit\": \"%s\"", x_name, x, unit);
		print_spread("y", y);
		putchar('}');
		return;
	}
	begin_line(curve);
	printf("  %s %-10.6g", x_name, x);
	print_number(y->median, unit, 14);
	printf("  (%.3g..%.3g)\n", y->low, y->high);
	fflush(stdout);
}

void report_end(void)
{
	if (report.json)
		fputs("\n]}\n", stdout);
}
