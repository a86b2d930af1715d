/*
 * ems_value.hpp: errors, values and keys; a part of <ems.hpp>, which includes it.
 */
#ifndef EMS_VALUE_HPP
#define EMS_VALUE_HPP

#include <ems.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ems
{

/* What a call of <ems.h> returned, with its message. */
class error : public std::runtime_error {
public:
	error(int code, const char *message) : std::runtime_error(message), code_(code < 0 ? -code : code)
	{
	}
	int code() const noexcept /* EMS_E… */
	{
		return code_;
	}
	const char *name() const noexcept
	{
		return ems_error_name(code_);
	}

private:
	int code_;
};

namespace detail
{
inline void check(int result)
{
	if (result < 0) {
		const ems_error_t *last = ems_last_error();

		throw error(result, last->code == -result ? last->message : ems_error_text(result));
	}
}

template <typename Rep, typename Period> ems_deadline_t deadline(std::chrono::duration<Rep, Period> time)
{
	auto count = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();

	return count <= 0 ? EMS_NOW : ems_deadline_in(static_cast<std::uint64_t>(count));
}

/* Of a result: false if it is the one that is no failure. */
inline bool unless(int code, int no_failure)
{
	if (code != -no_failure)
		check(code);
	return code >= 0;
}
} // namespace detail

/* ---- values ---------------------------------------------------------------------------------- */

/* A string that is JSON, and one that is bytes. */
struct json {
	std::string text;
};
struct bytes {
	std::string data;
};

/* Any value, with its own memory. */
class value {
public:
	value() noexcept : value_ EMS_VALUE_INIT
	{
	}
	value(bool boolean) noexcept : value_(ems_value_boolean(boolean))
	{
	}
	value(int number) noexcept : value_(ems_value_integer(number))
	{
	}
	value(long number) noexcept : value_(ems_value_integer(number))
	{
	}
	value(long long number) noexcept : value_(ems_value_integer(number))
	{
	}
	value(double number) noexcept : value_(ems_value_float(number))
	{
	}
	value(std::string text) : value(EMS_STRING, std::move(text))
	{
	}
	value(std::string_view text) : value(EMS_STRING, std::string(text))
	{
	}
	value(const char *text) : value(EMS_STRING, std::string(text))
	{
	}
	value(json text) : value(EMS_JSON, std::move(text.text))
	{
	}
	value(bytes data) : value(EMS_BYTES, std::move(data.data))
	{
	}
	value(const value &other) : value_(other.value_), text_(other.string())
	{
		own();
	}
	value(value &&other) noexcept : value()
	{
		swap(other);
	}
	value &operator=(value other) noexcept
	{
		swap(other);
		return *this;
	}
	~value()
	{
		ems_value_clear(result());
	}

	ems_type_t type() const noexcept
	{
		return static_cast<ems_type_t>(value_.type);
	}
	bool is_undefined() const noexcept
	{
		return type() == EMS_UNDEFINED;
	}
	/* Of a string, JSON or bytes; valid as long as this value is not changed. */
	std::string_view text() const noexcept
	{
		return type() >= EMS_STRING ? std::string_view(static_cast<const char *>(value_.data), value_.size)
					    : std::string_view();
	}
	/* bool, an integer type, double, std::string, json, bytes. EMS_ETYPE: it is something else. A double is had of an integer. */
	template <typename T> T as() const
	{
		if constexpr (std::is_same_v<T, bool>) {
			return want(EMS_BOOLEAN).boolean;
		} else if constexpr (std::is_integral_v<T>) {
			auto number = want(EMS_INTEGER).integer;

			if (static_cast<std::int64_t>(static_cast<T>(number)) != number)
				throw error(EMS_ERANGE, "the integer does not fit");
			return static_cast<T>(number);
		} else if constexpr (std::is_floating_point_v<T>) {
			return static_cast<T>(type() == EMS_INTEGER ? static_cast<double>(value_.integer)
								     : want(EMS_FLOAT).number);
		} else if constexpr (std::is_same_v<T, json>) {
			return want(EMS_JSON), json{string()};
		} else if constexpr (std::is_same_v<T, bytes>) {
			return want(EMS_BYTES), bytes{string()};
		} else {
			return want(EMS_STRING), T(text());
		}
	}

	/* As an argument of <ems.h>, and as a result. */
	const ems_value_t *get() const noexcept
	{
		return &value_;
	}
	ems_value_t *result() noexcept
	{
		if (value_.capacity == 0)
			value_ = EMS_VALUE_INIT;
		return &value_;
	}
	void swap(value &other) noexcept
	{
		std::swap(value_, other.value_);
		std::swap(text_, other.text_);
		/* The texts of short strings are where the strings are. */
		if (value_.capacity == 0)
			own();
		if (other.value_.capacity == 0)
			other.own();
	}

private:
	value(ems_type_t type, std::string text) : value_(ems_value_data(type, nullptr, 0)), text_(std::move(text))
	{
		own();
	}
	std::string string() const
	{
		return std::string(text());
	}
	void own() noexcept
	{
		if (type() < EMS_STRING)
			return;
		value_.data = text_.data();
		value_.size = text_.size();
		value_.capacity = 0;
	}
	const ems_value_t &want(ems_type_t type) const
	{
		if (value_.type != static_cast<std::uint32_t>(type))
			throw error(EMS_ETYPE, "the value has another type");
		return value_;
	}

	ems_value_t value_;
	std::string text_; /* of one that was made here */
};

/* ---- keys ------------------------------------------------------------------------------------ */

/* An index, or a key of a map. Text is not copied. */
class key {
public:
	key(int index) noexcept : key_(ems_index(index))
	{
	}
	key(std::int64_t index) noexcept : key_(ems_index(index))
	{
	}
	key(std::size_t index) noexcept : key_(ems_index(static_cast<std::int64_t>(index)))
	{
	}
	key(double number) noexcept : key_(ems_key_float(number))
	{
	}
	key(bool boolean) noexcept : key_(ems_key_boolean(boolean))
	{
	}
	key(const char *text) noexcept : key_(ems_key(text))
	{
	}
	key(std::string_view text) noexcept : key_(ems_key_bytes(text.data(), text.size()))
	{
	}
	key(const std::string &text) noexcept : key(std::string_view(text))
	{
	}
	ems_key_t get() const noexcept
	{
		return key_;
	}

private:
	ems_key_t key_;
};

} // namespace ems

#endif
