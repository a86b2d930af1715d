/*
 * json_check.c: is this text JSON?
 *
 * The library stores JSON without parsing it; emsctl looks, so that a slip on the command line does not reach
 * the programs that will parse it, and so that what it embeds in its own JSON is JSON. A recursive descent
 * over RFC 8259; depth is bounded because the text may be anybody's.
 */
#include <ctype.h>
#include <string.h>

#include "base/utf8.h"
#include "client/emsctl/json.h"

struct parser {
	const char *at, *end;
	int depth;
};

static bool parse_value(struct parser *parser);

static void skip_blanks(struct parser *parser)
{
	while (parser->at < parser->end && memchr(" \t\r\n", *parser->at, 4))
		parser->at++;
}

static bool take(struct parser *parser, char byte)
{
	if (parser->at == parser->end || *parser->at != byte)
		return false;
	parser->at++;
	return true;
}

static bool take_word(struct parser *parser, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(parser->end - parser->at) < length || memcmp(parser->at, word, length) != 0)
		return false;
	parser->at += length;
	return true;
}

static bool take_digits(struct parser *parser)
{
	const char *first = parser->at;

	while (parser->at < parser->end && isdigit((unsigned char)*parser->at))
		parser->at++;
	return parser->at > first;
}

static bool parse_number(struct parser *parser)
{
	take(parser, '-');
	if (!take(parser, '0') && !take_digits(parser))
		return false;
	if (take(parser, '.') && !take_digits(parser))
		return false;
	if (take(parser, 'e') || take(parser, 'E')) {
		if (!take(parser, '+'))
			take(parser, '-');
		return take_digits(parser);
	}
	return true;
}

static bool parse_escape(struct parser *parser)
{
	if (parser->at == parser->end)
		return false;
	if (take(parser, 'u')) {
		for (int i = 0; i < 4; i++) {
			if (parser->at == parser->end || !isxdigit((unsigned char)*parser->at))
				return false;
			parser->at++;
		}
		return true;
	}
	return memchr("\"\\/bfnrt", *parser->at++, 8) != NULL;
}

static bool parse_string(struct parser *parser)
{
	if (!take(parser, '"'))
		return false;
	while (parser->at < parser->end) {
		unsigned char byte = (unsigned char)*parser->at++;

		if (byte == '"')
			return true;
		if (byte < 0x20 || (byte == '\\' && !parse_escape(parser)))
			return false;
	}
	return false;
}

/* Members of an object (with names) or of an array, up to the closing bracket. */
static bool parse_members(struct parser *parser, bool named, char close)
{
	skip_blanks(parser);
	if (take(parser, close))
		return true;
	do {
		skip_blanks(parser);
		if (named) {
			if (!parse_string(parser))
				return false;
			skip_blanks(parser);
			if (!take(parser, ':'))
				return false;
		}
		if (!parse_value(parser))
			return false;
	} while (take(parser, ','));
	return take(parser, close);
}

/* One value with the blanks around it. */
static bool parse_value(struct parser *parser)
{
	bool good;

	if (++parser->depth > JSON_DEPTH_MAX)
		return false;
	skip_blanks(parser);
	if (take(parser, '{'))
		good = parse_members(parser, true, '}');
	else if (take(parser, '['))
		good = parse_members(parser, false, ']');
	else if (parser->at < parser->end && *parser->at == '"')
		good = parse_string(parser);
	else
		good = take_word(parser, "true") || take_word(parser, "false") || take_word(parser, "null") ||
		       parse_number(parser);
	skip_blanks(parser);
	parser->depth--;
	return good;
}

bool json_valid(const char *text, size_t size)
{
	struct parser parser = {.at = text, .end = text + size};

	return utf8_valid(text, size) && parse_value(&parser) && parser.at == parser.end;
}

bool json_is_number(const char *text, size_t size)
{
	struct parser parser = {.at = text, .end = text + size};

	return parse_number(&parser) && parser.at == parser.end;
}
