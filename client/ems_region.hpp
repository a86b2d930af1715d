/*
 * ems_region.hpp: regions, counters in them, and blocks; a part of <ems.hpp>, which includes it.
 */
#ifndef EMS_REGION_HPP
#define EMS_REGION_HPP

#include "ems_value.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ems
{

/* Raw memory by name, or a file's. Pointers into it are good as long as it. */
class region {
public:
	explicit region(ems_region_t *handle) noexcept : handle_(handle)
	{
	}
	ems_region_t *get() const noexcept
	{
		return handle_.get();
	}
	/* What others have added is accessible after either of these two. */
	std::uint64_t size() const
	{
		return pointer().second;
	}
	void *data() const
	{
		return pointer().first;
	}
	/* The memory as an array of T, of size() / sizeof(T). */
	template <typename T> T *as() const
	{
		static_assert(std::is_trivially_copyable_v<T>, "what processes share is bytes");
		return static_cast<T *>(data());
	}
	void grow(std::uint64_t size)
	{
		detail::check(ems_region_grow(get(), size));
	}
	/* Of a file: bytes [offset, offset + size) are on disk; size 0: up to its end. */
	void flush(std::uint64_t offset = 0, std::uint64_t size = 0)
	{
		detail::check(ems_region_flush(get(), offset, size, true));
	}
	ems_region_info_t info() const
	{
		ems_region_info_t result{};

		detail::check(ems_region_info(get(), &result));
		return result;
	}

	/* The 64-bit integer at an offset, a multiple of 8; changing it is atomic, and gives the old one. */
	std::int64_t get(std::uint64_t offset) const
	{
		std::int64_t value = 0;

		detail::check(ems_region_get(get(), offset, &value));
		return value;
	}
	void set(std::uint64_t offset, std::int64_t value)
	{
		detail::check(ems_region_set(get(), offset, value));
	}
	std::int64_t add(std::uint64_t offset, std::int64_t number)
	{
		return changed(ems_region_add, offset, number);
	}
	std::int64_t sub(std::uint64_t offset, std::int64_t number)
	{
		return changed(ems_region_sub, offset, number);
	}
	std::int64_t and_(std::uint64_t offset, std::int64_t mask)
	{
		return changed(ems_region_and, offset, mask);
	}
	std::int64_t or_(std::uint64_t offset, std::int64_t mask)
	{
		return changed(ems_region_or, offset, mask);
	}
	std::int64_t xor_(std::uint64_t offset, std::int64_t mask)
	{
		return changed(ems_region_xor, offset, mask);
	}
	std::int64_t exchange(std::uint64_t offset, std::int64_t value)
	{
		return changed(ems_region_exchange, offset, value);
	}
	/* true: it was as expected, and is as desired. */
	bool cas(std::uint64_t offset, std::int64_t expected, std::int64_t desired)
	{
		bool swapped = false;

		detail::check(ems_region_cas(get(), offset, expected, desired, nullptr, &swapped));
		return swapped;
	}

private:
	struct close {
		void operator()(ems_region_t *handle) const noexcept
		{
			ems_region_close(handle);
		}
	};

	std::pair<void *, std::uint64_t> pointer() const
	{
		std::uint64_t size = 0;
		void *data = ems_region_bytes(get(), &size);

		if (!data)
			throw error(EMS_EFORKED, "the region belongs to the parent process");
		return {data, size};
	}
	std::int64_t changed(int (*function)(ems_region_t *, std::uint64_t, std::int64_t, std::int64_t *), std::uint64_t offset,
			     std::int64_t number)
	{
		std::int64_t old = 0;

		detail::check(function(get(), offset, number, &old));
		return old;
	}

	std::unique_ptr<ems_region_t, close> handle_;
};

/* Numbered 64-bit counters in a region, which stays open. */
class counters {
public:
	/* Those that are there, and more until there are count. */
	explicit counters(region &in, std::uint64_t count = 0)
	{
		ems_counters_t *handle = nullptr;

		detail::check(ems_counters_open(in.get(), count, &handle));
		handle_.reset(handle);
	}
	std::uint64_t size() const
	{
		std::uint64_t count = 0;

		detail::check(ems_counters_count(handle_.get(), &count));
		return count;
	}
	std::int64_t get(std::uint64_t number) const
	{
		std::int64_t value = 0;

		detail::check(ems_counters_get(handle_.get(), number, &value));
		return value;
	}
	/* The number before, of these; each is one atomic step. */
	std::int64_t set(std::uint64_t number, std::int64_t value)
	{
		return changed(ems_counters_set, number, value);
	}
	std::int64_t add(std::uint64_t number, std::int64_t amount = 1)
	{
		return changed(ems_counters_add, number, amount);
	}
	std::int64_t sub(std::uint64_t number, std::int64_t amount = 1)
	{
		return changed(ems_counters_sub, number, amount);
	}

private:
	struct close {
		void operator()(ems_counters_t *handle) const noexcept
		{
			ems_counters_close(handle);
		}
	};

	std::int64_t changed(int (*function)(ems_counters_t *, std::uint64_t, std::int64_t, std::int64_t *), std::uint64_t number,
			     std::int64_t amount)
	{
		std::int64_t old = 0;

		detail::check(function(handle_.get(), number, amount, &old));
		return old;
	}

	std::unique_ptr<ems_counters_t, close> handle_;
};

/* Blocks of one size in a region, which stays open and grows with them. */
class blocks {
public:
	explicit blocks(region &in, const ems_blocks_options_t &options = {})
	{
		ems_blocks_t *handle = nullptr;

		detail::check(ems_blocks_open(in.get(), &options, &handle));
		handle_.reset(handle);
	}
	ems_blocks_info_t info() const
	{
		ems_blocks_info_t result{};

		detail::check(ems_blocks_info(handle_.get(), &result));
		return result;
	}
	/* Where it is: the lowest free one. Empty: all are taken. */
	std::optional<std::uint64_t> store(std::string_view data)
	{
		std::uint64_t number = 0;
		bool stored = detail::unless(ems_block_store(handle_.get(), data.data(), data.size(), &number), EMS_EFULL);

		return stored ? std::optional<std::uint64_t>(number) : std::nullopt;
	}
	/* Empty: nothing is stored there. */
	std::optional<std::string> read(std::uint64_t number) const
	{
		std::string data(info().block_size, '\0');
		bool there = detail::unless(ems_block_read(handle_.get(), number, data.data(), data.size()), EMS_EEMPTY);

		return there ? std::optional<std::string>(std::move(data)) : std::nullopt;
	}
	/* false: nothing was stored there. */
	bool erase(std::uint64_t number)
	{
		return detail::unless(ems_block_free(handle_.get(), number), EMS_EEMPTY);
	}
	/* The numbers of those that are stored, highest first. */
	std::vector<std::uint64_t> list() const
	{
		std::vector<std::uint64_t> result, piece(1024);
		std::uint64_t below = UINT64_MAX;
		std::size_t count = 0;

		while (below > 0) {
			detail::check(ems_blocks_list(handle_.get(), &below, piece.data(), nullptr, piece.size(), &count));
			result.insert(result.end(), piece.data(), piece.data() + count);
		}
		return result;
	}
	/* After somebody has scribbled: how many were mended. */
	std::uint64_t repair()
	{
		std::uint64_t from = 0, mended = 0, all = 0, capacity = info().capacity;

		while (from < capacity) {
			detail::check(ems_blocks_repair(handle_.get(), &from, capacity - from, &mended));
			all += mended;
		}
		return all;
	}

private:
	struct close {
		void operator()(ems_blocks_t *handle) const noexcept
		{
			ems_blocks_close(handle);
		}
	};

	std::unique_ptr<ems_blocks_t, close> handle_;
};

} // namespace ems

#endif
