/*
 * ems_team.hpp: teams, with barriers, critical sections and loops; a part of <ems.hpp>, which includes it.
 */
#ifndef EMS_TEAM_HPP
#define EMS_TEAM_HPP

#include "ems_value.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ems
{

/* Inside a critical section of a team; left by leave, or with the object. Not longer than its team. */
class section {
public:
	section(ems_team_t *of, std::string name, bool owner_died) noexcept
		: team_(of), name_(std::move(name)), inside_(true), owner_died_(owner_died)
	{
	}
	section(section &&other) noexcept
		: team_(other.team_), name_(std::move(other.name_)), inside_(std::exchange(other.inside_, false)),
		  owner_died_(other.owner_died_)
	{
	}
	section &operator=(section &&) = delete;
	~section()
	{
		if (inside_)
			ems_critical_leave(team_, name_.c_str());
	}
	/* Whether the member that was inside before died there. */
	bool owner_died() const noexcept
	{
		return owner_died_;
	}
	void leave()
	{
		inside_ = false;
		detail::check(ems_critical_leave(team_, name_.c_str()));
	}

private:
	ems_team_t *team_;
	std::string name_;
	bool inside_, owner_died_;
};

/*
 * A loop that is shared out to a team. Its end is a barrier, which the empty result of next is; an object that goes before waits for the
 * others there, too. Not longer than its team.
 */
class loop {
public:
	loop(ems_team_t *of, std::int64_t first, std::int64_t last, const ems_loop_options_t &options)
	{
		ems_loop_t *handle = nullptr;

		detail::check(ems_loop_begin(of, first, last, &options, &handle));
		handle_.reset(handle);
	}
	/* The next iterations [first, second) for this member; empty: all members have done all. */
	std::optional<std::pair<std::int64_t, std::int64_t>> next()
	{
		std::pair<std::int64_t, std::int64_t> piece;
		bool more = detail::unless(ems_loop_next(handle_.get(), &piece.first, &piece.second), EMS_EEMPTY);

		return more ? std::make_optional(piece) : std::nullopt;
	}

private:
	struct end {
		void operator()(ems_loop_t *handle) const noexcept
		{
			ems_loop_end(handle);
		}
	};

	std::unique_ptr<ems_loop_t, end> handle_;
};

/* This thread as a member of a team; left with the object, by the thread that joined. NULL: a team of one. */
class team {
public:
	explicit team(ems_team_t *handle = nullptr) noexcept : handle_(handle)
	{
	}
	ems_team_t *get() const noexcept
	{
		return handle_.get();
	}
	std::uint32_t member() const noexcept
	{
		return ems_team_member(get());
	}
	std::uint32_t size() const noexcept /* as it was formed */
	{
		return ems_team_size(get());
	}
	std::uint32_t count() const noexcept /* that take part now */
	{
		return ems_team_count(get());
	}
	bool is_master() const noexcept
	{
		return ems_team_is_master(get());
	}
	/* Who died, the last one first. */
	std::vector<ems_team_death_t> deaths() const
	{
		std::vector<ems_team_death_t> result;
		ems_team_death_t death;

		while (ems_team_broken(get(), static_cast<std::uint32_t>(result.size()), &death) == 0)
			result.push_back(death);
		return result;
	}

	/* EMS_EBROKEN: a member died. */
	void barrier()
	{
		detail::check(ems_team_barrier(get()));
	}
	/* false: the time was over, and it is as if it had not been called. */
	template <typename Rep, typename Period> bool barrier(std::chrono::duration<Rep, Period> time)
	{
		return detail::unless(ems_team_barrier_until(get(), detail::deadline(time)), EMS_ETIMEOUT);
	}
	/* true in one member, the first to come. */
	bool single()
	{
		bool mine = false;

		detail::check(ems_team_single(get(), &mine));
		return mine;
	}
	/* One member at a time is inside those of one name. */
	section critical(const char *name = "critical")
	{
		bool owner_died = false;

		detail::check(ems_critical_enter(get(), name, &owner_died));
		return section(get(), name, owner_died);
	}
	template <typename Rep, typename Period>
	std::optional<section> critical(const char *name, std::chrono::duration<Rep, Period> time)
	{
		bool owner_died = false;
		bool inside = detail::unless(ems_critical_enter_until(get(), name, &owner_died, detail::deadline(time)),
					     EMS_ETIMEOUT);

		return inside ? std::optional<section>(std::in_place, get(), name, owner_died) : std::nullopt;
	}
	/* Each member calls it with the same arguments; see class loop. */
	loop share(std::int64_t first, std::int64_t last, const ems_loop_options_t &options = {})
	{
		return loop(get(), first, last, options);
	}
	/* function(i) for all i of [first, last), each by one member; a barrier at the end. */
	template <typename Function>
	void for_each(std::int64_t first, std::int64_t last, Function function, const ems_loop_options_t &options = {})
	{
		auto all = share(first, last, options);

		while (auto piece = all.next())
			for (std::int64_t one = piece->first; one < piece->second; one++)
				function(one);
	}

private:
	struct leave {
		void operator()(ems_team_t *handle) const noexcept
		{
			ems_team_leave(handle);
		}
	};

	std::unique_ptr<ems_team_t, leave> handle_;
};

} // namespace ems

#endif
