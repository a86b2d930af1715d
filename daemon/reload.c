/*
 * reload.c: see reload.h.
 */
#include "daemon/reload.h"

#include <string.h>

#include "base/error.h"
#include "daemon/service.h"

static void report(const char *problem)
{
	log_error("a setting is wrong", LOG_TEXT("problem", problem));
}

/* What was decided at the start. */
static void keep_the_fixed(struct config *config, const struct config *before, bool said)
{
	memcpy(config->socket, before->socket, sizeof(config->socket));
	memcpy(config->state_dir, before->state_dir, sizeof(config->state_dir));
	config->exit_idle = before->exit_idle;
	config->keep_seconds = before->keep_seconds;
	if (said)
		config->log_level = before->log_level;
}

static void apply(struct broker *broker, struct config *config)
{
	struct config before = broker->config;

	keep_the_fixed(config, &before, broker->log_level_said);
	broker->config = *config;
	broker->budget.limit = config->total_bytes;
	/* Their limits point into the settings. */
	list_each(struct user, user, &broker->users, node)
	{
		user->limits = config_limits_of(&broker->config, user->uid);
		user->budget.limit = user->limits->bytes;
	}
	config_fini(&before);
	log_setup(broker->config.log_level);
}

void reload(struct broker *broker)
{
	struct config config;
	int r;

	if (!broker->config_path) {
		log_notice("there are no settings to be read again");
		return;
	}
	service_reloading();
	config_init(&config, broker->user_daemon);
	r = config_read(&config, broker->config_path, report);
	if (r && r != -ERROR_NOT_FOUND) {
		config_fini(&config);
		log_error("the settings stay as they are", LOG_TEXT("file", broker->config_path));
	} else {
		apply(broker, &config);
		log_notice("settings read again", LOG_TEXT("file", broker->config_path),
			   LOG_UINT("budget", broker->budget.limit));
	}
	service_reloaded();
	broker_tell_status(broker);
}
