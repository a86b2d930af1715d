/* On what it was measured. Names of hosts and users are nobody's business, and not asked. */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

static void find_processor(char *text, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(text, size, "unknown");
	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(text, size, "%s", colon + 2);
		break;
	}
	if (file)
		fclose(file);
}

void machine_look(struct machine *machine)
{
	time_t now = time(NULL);
	struct utsname system;
	struct tm day;

	memset(machine, 0, sizeof(*machine));
	find_processor(machine->processor, sizeof(machine->processor));
	if (uname(&system) == 0)
		snprintf(machine->kernel, sizeof(machine->kernel), "%.40s %.40s", system.sysname, system.release);
#if defined(__clang__)
	snprintf(machine->compiler, sizeof(machine->compiler), "clang %d", __clang_major__);
#else
	snprintf(machine->compiler, sizeof(machine->compiler), "gcc %d", __GNUC__);
#endif
	if (gmtime_r(&now, &day))
		(void)strftime(machine->date, sizeof(machine->date), "%Y-%m-%d", &day);
	machine->processors = measure_processors();
	machine->memory_gib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 30);
	if (getloadavg(&machine->load, 1) != 1)
		machine->load = -1;
}
