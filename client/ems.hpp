/*
 * <ems.hpp>: <ems.h> for C++17, header only: handles that close themselves, values with types, std::optional for what may not be
 * there, std::chrono for how long to wait, ems::error for what went wrong.
 *
 *      ems::connection connection;
 *      ems::heap hits = connection.open_or_create("app/hits", {.elements = 1000, .map = true});   // C++20; or fill in a struct
 *      hits.faa("index.html", 1);
 *      if (auto job = hits.dequeue(std::chrono::seconds(1)))
 *              work(job->as<std::string>());
 *
 * A function that takes a time returns an empty optional when it is over; one without waits for ever. What <ems.h> says of threads
 * and fork holds here. A moved-from handle may be destroyed or assigned to.
 */
#ifndef EMS_HPP
#define EMS_HPP

#include <ems.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/* ---- heaps ----------------------------------------------------------------------------------- */

class heap {
public:
	explicit heap(ems_heap_t *handle) noexcept : handle_(handle)
	{
	}
	ems_heap_t *get() const noexcept
	{
		return handle_.get();
	}
	std::uint64_t elements() const
	{
		return ems_heap_elements(get());
	}

	value read(key where) const
	{
		return taken(ems_read, where);
	}
	value read_ff(key where)
	{
		return taken(ems_read_ff, where);
	}
	value read_fe(key where)
	{
		return taken(ems_read_fe, where);
	}
	template <typename Rep, typename Period>
	std::optional<value> read_ff(key where, std::chrono::duration<Rep, Period> time)
	{
		return in_time([&](ems_value_t *to) {
			return ems_read_ff_until(get(), where.get(), to, detail::deadline(time));
		});
	}
	template <typename Rep, typename Period>
	std::optional<value> read_fe(key where, std::chrono::duration<Rep, Period> time)
	{
		return in_time([&](ems_value_t *to) {
			return ems_read_fe_until(get(), where.get(), to, detail::deadline(time));
		});
	}
	void write(key where, const value &what)
	{
		detail::check(ems_write(get(), where.get(), what.get()));
	}
	void write_xf(key where, const value &what)
	{
		detail::check(ems_write_xf(get(), where.get(), what.get()));
	}
	void write_xe(key where, const value &what)
	{
		detail::check(ems_write_xe(get(), where.get(), what.get()));
	}
	void write_ef(key where, const value &what)
	{
		detail::check(ems_write_ef(get(), where.get(), what.get()));
	}
	/* false: the time was over. */
	template <typename Rep, typename Period>
	bool write_ef(key where, const value &what, std::chrono::duration<Rep, Period> time)
	{
		return done_in_time(ems_write_ef_until(get(), where.get(), what.get(), detail::deadline(time)));
	}
	void set_tag(key where, ems_tag_t tag)
	{
		detail::check(ems_set_tag(get(), where.get(), tag));
	}
	value faa(key where, const value &what)
	{
		value old;

		detail::check(ems_faa(get(), where.get(), what.get(), old.result()));
		return old;
	}
	value swap(key where, const value &what)
	{
		value old;

		detail::check(ems_swap(get(), where.get(), what.get(), old.result()));
		return old;
	}
	/* true: it was as expected, and is as desired. */
	bool cas(key where, const value &expected, const value &desired)
	{
		bool swapped = false;

		detail::check(ems_cas(get(), where.get(), expected.get(), desired.get(), nullptr, &swapped));
		return swapped;
	}
	/* false: there was no such key. */
	bool erase(key where)
	{
		int result = ems_delete(get(), where.get());

		if (result != -EMS_ENOKEY)
			detail::check(result);
		return result == 0;
	}

	/* false: it is full. */
	bool enqueue(const value &what)
	{
		return added(ems_enqueue(get(), what.get(), nullptr));
	}
	bool push(const value &what)
	{
		return added(ems_push(get(), what.get(), nullptr));
	}
	std::optional<value> dequeue()
	{
		return in_time([&](ems_value_t *to) { return ems_dequeue(get(), to); });
	}
	std::optional<value> pop()
	{
		return in_time([&](ems_value_t *to) { return ems_pop(get(), to); });
	}
	template <typename Rep, typename Period> std::optional<value> dequeue(std::chrono::duration<Rep, Period> time)
	{
		return in_time(
			[&](ems_value_t *to) { return ems_dequeue_until(get(), to, detail::deadline(time)); });
	}
	template <typename Rep, typename Period> std::optional<value> pop(std::chrono::duration<Rep, Period> time)
	{
		return in_time([&](ems_value_t *to) { return ems_pop_until(get(), to, detail::deadline(time)); });
	}

private:
	struct close {
		void operator()(ems_heap_t *handle) const noexcept
		{
			ems_heap_close(handle);
		}
	};

	value taken(int (*function)(ems_heap_t *, ems_key_t, ems_value_t *), key where) const
	{
		value result;

		detail::check(function(get(), where.get(), result.result()));
		return result;
	}
	template <typename Function> static std::optional<value> in_time(Function function)
	{
		value result;
		int code = function(result.result());

		if (code == -EMS_ETIMEOUT || code == -EMS_EEMPTY)
			return std::nullopt;
		detail::check(code);
		return result;
	}
	static bool done_in_time(int code)
	{
		if (code != -EMS_ETIMEOUT)
			detail::check(code);
		return code == 0;
	}
	static bool added(int code)
	{
		if (code != -EMS_EFULL)
			detail::check(code);
		return code == 0;
	}

	std::unique_ptr<ems_heap_t, close> handle_;
};

/* ---- transactions ---------------------------------------------------------------------------- */

/* Of this thread; given up unless it is committed. */
class transaction {
public:
	struct element {
		const heap &of;
		key where;
		bool read_only = false;
	};

	explicit transaction(const std::vector<element> &elements)
	{
		std::vector<ems_transaction_element_t> list;
		ems_transaction_t *handle = nullptr;

		for (const auto &one : elements)
			list.push_back({one.of.get(), one.where.get(), one.read_only});
		detail::check(ems_transaction_begin(list.data(), list.size(), &handle));
		handle_.reset(handle);
	}
	value read(std::size_t which)
	{
		value result;

		detail::check(ems_transaction_read(handle_.get(), which, result.result()));
		return result;
	}
	void write(std::size_t which, const value &what)
	{
		detail::check(ems_transaction_write(handle_.get(), which, what.get()));
	}
	void commit()
	{
		detail::check(ems_transaction_commit(handle_.release()));
	}

private:
	struct abort {
		void operator()(ems_transaction_t *handle) const noexcept
		{
			ems_transaction_abort(handle);
		}
	};

	std::unique_ptr<ems_transaction_t, abort> handle_;
};

/* ---- connections ----------------------------------------------------------------------------- */

/* Heaps are to be gone before their connection. */
class connection {
public:
	explicit connection(const char *socket = nullptr)
	{
		ems_connection_t *handle = nullptr;

		detail::check(ems_connect(&handle, socket));
		handle_.reset(handle);
	}
	ems_connection_t *get() const noexcept
	{
		return handle_.get();
	}
	heap open(const char *name)
	{
		return heap_of(name, EMS_OPEN_EXISTING, nullptr);
	}
	heap open_or_create(const char *name, const ems_heap_options_t &options)
	{
		return heap_of(name, EMS_OPEN_OR_CREATE, &options);
	}
	heap create(const char *name, const ems_heap_options_t &options)
	{
		return heap_of(name, EMS_CREATE, &options);
	}
	/* false: there was none. */
	bool drop(const char *name)
	{
		int result = ems_heap_drop(get(), name);

		if (result != -EMS_ENOTFOUND)
			detail::check(result);
		return result == 0;
	}

private:
	struct close {
		void operator()(ems_connection_t *handle) const noexcept
		{
			ems_disconnect(handle);
		}
	};

	heap heap_of(const char *name, ems_open_t how, const ems_heap_options_t *options)
	{
		ems_heap_t *handle = nullptr;

		detail::check(ems_heap_open(get(), name, how, options, &handle));
		return heap(handle);
	}

	std::unique_ptr<ems_connection_t, close> handle_;
};

} // namespace ems

#endif
