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

#include "ems_region.hpp"
#include "ems_team.hpp"
#include "ems_value.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ems
{

/* ---- what is held ---------------------------------------------------------------------------- */

/*
 * What was taken from a heap, for as long as it is held. Ended by put, keep or end; else, with the object, as if nothing had been taken,
 * which is what the death of the process does. Of the thread, or session, that took it; its heap stays open.
 */
class lease {
public:
	lease(value what, ems_lease_t held) noexcept : what_(std::move(what)), held_(held)
	{
	}
	lease(lease &&other) noexcept : what_(std::move(other.what_)), held_(std::exchange(other.held_, ems_lease_t{}))
	{
	}
	lease &operator=(lease &&other) noexcept
	{
		std::swap(what_, other.what_);
		std::swap(held_, other.held_);
		return *this;
	}
	~lease()
	{
		if (held_.heap)
			ems_lease_end(&held_);
	}
	const value &what() const noexcept
	{
		return what_;
	}
	/* The element is full with this value; an item is in its place with it. After an error the lease goes on. */
	void put(const value &instead)
	{
		detail::check(ems_lease_put(&held_, instead.get()));
		held_ = ems_lease_t{};
	}
	/* The element is empty; an item is gone. */
	void keep()
	{
		ems_lease_t held = std::exchange(held_, ems_lease_t{});

		detail::check(ems_lease_keep(&held));
	}
	/* As if nothing had been taken. */
	void end()
	{
		ems_lease_t held = std::exchange(held_, ems_lease_t{});

		detail::check(ems_lease_end(&held));
	}

private:
	value what_;
	ems_lease_t held_;
};

/* A read lock on an element, and what it read; given back by release, or with the object. Of the thread that took it; its heap stays open. */
class reader {
public:
	reader(ems_heap_t *of, ems_key_t where, value what) : heap_(of), key_(where), what_(std::move(what))
	{
		if (key_.type == EMS_KEY_STRING)
			text_.assign(key_.text, key_.size);
	}
	reader(reader &&other) noexcept
		: heap_(std::exchange(other.heap_, nullptr)), key_(other.key_), text_(std::move(other.text_)),
		  what_(std::move(other.what_))
	{
	}
	reader &operator=(reader &&other) noexcept
	{
		std::swap(heap_, other.heap_);
		std::swap(key_, other.key_);
		std::swap(text_, other.text_);
		std::swap(what_, other.what_);
		return *this;
	}
	~reader()
	{
		if (heap_)
			ems_release_rw(heap_, key(), nullptr);
	}
	const value &what() const noexcept
	{
		return what_;
	}
	/* How many others still read. */
	std::uint32_t release()
	{
		std::uint32_t left = 0;

		detail::check(ems_release_rw(std::exchange(heap_, nullptr), key(), &left));
		return left;
	}

private:
	ems_key_t key() const noexcept
	{
		return key_.type == EMS_KEY_STRING ? ems_key_bytes(text_.data(), text_.size()) : key_;
	}

	ems_heap_t *heap_; /* NULL: given back */
	ems_key_t key_;
	std::string text_; /* of the key */
	value what_;
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
		return detail::unless(ems_write_ef_until(get(), where.get(), what.get(), detail::deadline(time)), EMS_ETIMEOUT);
	}
	void set_tag(key where, ems_tag_t tag)
	{
		detail::check(ems_set_tag(get(), where.get(), tag));
	}
	ems_tag_t tag(key where) const
	{
		ems_tag_t tag = EMS_EMPTY;

		detail::check(ems_get_tag(get(), where.get(), &tag));
		return tag;
	}

	/* What follows is held by what it returns; see there. */
	reader read_rw(key where)
	{
		return reader(get(), where.get(), taken(ems_read_rw, where));
	}
	template <typename Rep, typename Period>
	std::optional<reader> read_rw(key where, std::chrono::duration<Rep, Period> time)
	{
		auto what = in_time([&](ems_value_t *to) {
			return ems_read_rw_until(get(), where.get(), to, detail::deadline(time));
		});

		return what ? std::optional<reader>(std::in_place, get(), where.get(), std::move(*what)) : std::nullopt;
	}
	lease read_fe_lease(key where)
	{
		return *leased([&](ems_value_t *to, ems_lease_t *held) {
			return ems_read_fe_lease(get(), where.get(), to, held);
		});
	}
	template <typename Rep, typename Period>
	std::optional<lease> read_fe_lease(key where, std::chrono::duration<Rep, Period> time)
	{
		return leased([&](ems_value_t *to, ems_lease_t *held) {
			return ems_read_fe_lease_until(get(), where.get(), to, held, detail::deadline(time));
		});
	}
	std::optional<lease> dequeue_lease()
	{
		return leased([&](ems_value_t *to, ems_lease_t *held) { return ems_dequeue_lease(get(), to, held); });
	}
	template <typename Rep, typename Period>
	std::optional<lease> dequeue_lease(std::chrono::duration<Rep, Period> time)
	{
		return leased([&](ems_value_t *to, ems_lease_t *held) {
			return ems_dequeue_lease_until(get(), to, held, detail::deadline(time));
		});
	}

	/* The value before, of these. */
	value faa(key where, const value &what)
	{
		return changed(ems_faa, where, what);
	}
	value swap(key where, const value &what)
	{
		return changed(ems_swap, where, what);
	}
	std::int64_t and_(key where, std::int64_t mask)
	{
		return masked(ems_and, where, mask);
	}
	std::int64_t or_(key where, std::int64_t mask)
	{
		return masked(ems_or, where, mask);
	}
	std::int64_t xor_(key where, std::int64_t mask)
	{
		return masked(ems_xor, where, mask);
	}
	value min(key where, const value &what)
	{
		return changed(ems_min, where, what);
	}
	value max(key where, const value &what)
	{
		return changed(ems_max, where, what);
	}
	/* true: it was as expected, and is as desired. *old, if it is not null, is what it was. */
	bool cas(key where, const value &expected, const value &desired, value *old = nullptr)
	{
		bool swapped = false;

		detail::check(ems_cas(get(), where.get(), expected.get(), desired.get(), old ? old->result() : nullptr,
				      &swapped));
		return swapped;
	}
	/* false: there was no such key. */
	bool erase(key where)
	{
		return detail::unless(ems_delete(get(), where.get()), EMS_ENOKEY);
	}

	/* false: it is not as expected. */
	bool compare_erase(key where, const value &expected)
	{
		bool deleted = false;

		detail::check(ems_compare_delete(get(), where.get(), expected.get(), &deleted));
		return deleted;
	}

	/* false: it is full. */
	bool enqueue(const value &what)
	{
		return detail::unless(ems_enqueue(get(), what.get(), nullptr), EMS_EFULL);
	}
	bool push(const value &what)
	{
		return detail::unless(ems_push(get(), what.get(), nullptr), EMS_EFULL);
	}
	template <typename Rep, typename Period> bool enqueue(const value &what, std::chrono::duration<Rep, Period> time)
	{
		return put_in_time(ems_enqueue_until, what, detail::deadline(time));
	}
	template <typename Rep, typename Period> bool push(const value &what, std::chrono::duration<Rep, Period> time)
	{
		return put_in_time(ems_push_until, what, detail::deadline(time));
	}
	std::optional<value> queue_peek() const
	{
		return in_time([&](ems_value_t *to) { return ems_queue_peek(get(), to); });
	}
	std::optional<value> stack_peek() const
	{
		return in_time([&](ems_value_t *to) { return ems_stack_peek(get(), to); });
	}
	/* Leased items are among them. */
	std::uint64_t queue_length() const
	{
		return counted(ems_queue_length);
	}
	std::uint64_t stack_length() const
	{
		return counted(ems_stack_length);
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
	template <typename Function> static std::optional<lease> leased(Function function)
	{
		ems_lease_t held{};
		auto what = in_time([&](ems_value_t *to) { return function(to, &held); });

		return what ? std::optional<lease>(std::in_place, std::move(*what), held) : std::nullopt;
	}
	value changed(int (*function)(ems_heap_t *, ems_key_t, const ems_value_t *, ems_value_t *), key where,
		      const value &what)
	{
		value old;

		detail::check(function(get(), where.get(), what.get(), old.result()));
		return old;
	}
	std::int64_t masked(int (*function)(ems_heap_t *, ems_key_t, std::int64_t, std::int64_t *), key where, std::int64_t mask)
	{
		std::int64_t old = 0;

		detail::check(function(get(), where.get(), mask, &old));
		return old;
	}
	bool put_in_time(int (*function)(ems_heap_t *, const ems_value_t *, std::uint64_t *, ems_deadline_t),
			 const value &what, ems_deadline_t until)
	{
		int code = function(get(), what.get(), nullptr, until);

		return code != -EMS_EFULL && detail::unless(code, EMS_ETIMEOUT);
	}
	std::uint64_t counted(int (*function)(ems_heap_t *, std::uint64_t *)) const
	{
		std::uint64_t count = 0;

		detail::check(function(get(), &count));
		return count;
	}

	std::unique_ptr<ems_heap_t, close> handle_;
};

/* ---- transactions ---------------------------------------------------------------------------- */

/* One of those that are changed, or looked at, at one moment. */
struct element {
	const heap &of;
	key where;
	bool read_only = false;
};

namespace detail
{
inline std::vector<ems_transaction_element_t> list(const std::vector<element> &elements)
{
	std::vector<ems_transaction_element_t> result;

	for (const auto &one : elements)
		result.push_back({one.of.get(), one.where.get(), one.read_only});
	return result;
}

inline std::vector<value> snapshot(const std::vector<element> &elements, ems_deadline_t until)
{
	auto wanted = list(elements);
	std::vector<ems_value_t> found(wanted.size(), ems_value_t EMS_VALUE_INIT);
	int code = ems_snapshot_until(wanted.data(), wanted.size(), found.data(), until);
	std::vector<value> result(code < 0 ? 0 : found.size());

	for (std::size_t one = 0; one < result.size(); one++)
		std::swap(*result[one].result(), found[one]);
	for (auto &one : found)
		ems_value_clear(&one);
	check(code);
	return result;
}
} // namespace detail

/* Of this thread; given up unless it is committed. */
class transaction {
public:
	using element = ems::element;

	explicit transaction(const std::vector<element> &elements)
	{
		detail::check(begin(elements, EMS_FOREVER));
	}
	template <typename Rep, typename Period>
	static std::optional<transaction> in_time(const std::vector<element> &elements, std::chrono::duration<Rep, Period> time)
	{
		transaction result;
		bool begun = detail::unless(result.begin(elements, detail::deadline(time)), EMS_ETIMEOUT);

		return begun ? std::optional<transaction>(std::move(result)) : std::nullopt;
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

	transaction() = default;
	int begin(const std::vector<element> &elements, ems_deadline_t until)
	{
		auto wanted = detail::list(elements);
		ems_transaction_t *handle = nullptr;
		int code = ems_transaction_begin_until(wanted.data(), wanted.size(), &handle, until);

		handle_.reset(handle);
		return code;
	}

	std::unique_ptr<ems_transaction_t, abort> handle_;
};

/* The values of several elements at one moment, whatever their tags. */
inline std::vector<value> snapshot(const std::vector<element> &elements)
{
	return detail::snapshot(elements, EMS_FOREVER);
}

/* ---- connections ----------------------------------------------------------------------------- */

/* Heaps and regions are to be gone before their connection; teams need not. */
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
	region open_region(const char *name)
	{
		return region_of(name, EMS_OPEN_EXISTING, nullptr);
	}
	region open_or_create_region(const char *name, const ems_region_options_t &options)
	{
		return region_of(name, EMS_OPEN_OR_CREATE, &options);
	}
	region create_region(const char *name, const ems_region_options_t &options)
	{
		return region_of(name, EMS_CREATE, &options);
	}
	/* A file that the caller has opened; fd stays the caller's. */
	region open_file(int fd, const ems_region_options_t &options = {})
	{
		ems_region_t *handle = nullptr;

		detail::check(ems_region_file(get(), fd, &options, &handle));
		return region(handle);
	}
	/* Returns when all members are there. */
	team join(const char *name, const ems_team_options_t &options)
	{
		ems_team_t *handle = nullptr;

		detail::check(ems_team_join(get(), name, &options, &handle));
		return team(handle);
	}
	/* The team that emsctl run has started this process for; without, a team of one. */
	team join_from_environment()
	{
		ems_team_t *handle = nullptr;

		detail::check(ems_team_from_environment(get(), EMS_FOREVER, &handle));
		return team(handle);
	}
	/* false: there was none. */
	bool drop(const char *name)
	{
		return detail::unless(ems_heap_drop(get(), name), EMS_ENOTFOUND);
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
	region region_of(const char *name, ems_open_t how, const ems_region_options_t *options)
	{
		ems_region_t *handle = nullptr;

		detail::check(ems_region_open(get(), name, how, options, &handle));
		return region(handle);
	}

	std::unique_ptr<ems_connection_t, close> handle_;
};

} // namespace ems

#endif
