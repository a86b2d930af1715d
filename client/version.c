/*
 * version.c: which libems this is.
 */
#include "config.h"

#include "client/ems.h"

const char *ems_version(void)
{
	return PACKAGE_VERSION;
}
