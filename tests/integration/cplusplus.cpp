// <ems.hpp>: every value comes back as it was, handles close themselves, times end, errors are exceptions.
#include <ems.hpp>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <thread>

#define CHECK(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition);      \
			std::exit(1);                                                     \
		}                                                                         \
	} while (0)

using namespace std::chrono_literals;
using std::int64_t;

template <typename Function> static int code_of(Function function)
{
	try {
		function();
	} catch (const ems::error &error) {
		CHECK(error.what()[0] != '\0');
		return error.code();
	}
	return 0;
}

template <typename T> static void round_trip(ems::heap &heap, const T &what)
{
	heap.write_xf(1, what);
	CHECK(heap.read(1).template as<T>() == what);
	CHECK(heap.read_ff(1).template as<T>() == what);
}

static void values(ems::heap &heap)
{
	for (bool boolean : {true, false})
		round_trip(heap, boolean);
	for (int64_t number : {int64_t{0}, int64_t{-1}, (int64_t{1} << 53) + 1, -(int64_t{1} << 53) - 1,
			       std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()})
		round_trip(heap, number);
	for (double number : {0.1, -1e308, 5e-324, HUGE_VAL})
		round_trip(heap, number);
	for (const std::string &text : {std::string(), std::string("a\0b", 3), std::string("\xf0\x9d\x84\x9e"),
					std::string(16000000, 'x')})
		round_trip(heap, text);
	heap.write_xf(1, -0.0);
	CHECK(heap.read(1).type() == EMS_FLOAT && std::signbit(heap.read(1).as<double>()));
	heap.write_xf(1, std::nan(""));
	CHECK(std::isnan(heap.read(1).as<double>()));
	heap.write_xf(1, ems::json{"{\"a\":[1]}"});
	CHECK(heap.read(1).as<ems::json>().text == "{\"a\":[1]}");
	heap.write_xf(1, ems::bytes{std::string("\0\xff", 2)});
	CHECK(heap.read(1).as<ems::bytes>().data == std::string("\0\xff", 2));
	heap.write_xf(1, ems::value());
	CHECK(heap.read(1).is_undefined());
	CHECK(code_of([&] { heap.read(1).as<int>(); }) == EMS_ETYPE);
	CHECK(code_of([&] { heap.write(1, "\xff"); }) == EMS_EINVALID);
	CHECK(code_of([&] { heap.read(100); }) == EMS_ERANGE);
}

static void copies(ems::heap &heap)
{
	heap.write_xf(1, "short");
	ems::value first = heap.read(1), second = first, third;

	third = std::move(first);
	first = "other";
	CHECK(second.text() == "short" && third.text() == "short" && first.text() == "other");
	third.swap(first);
	CHECK(first.text() == "short" && third.text() == "other");
	heap.write(1, third);
	CHECK(heap.read(1).text() == "other");
}

static void waits(ems::heap &heap)
{
	heap.write_xe(2, 1);
	CHECK(!heap.read_ff(2, 1ms));
	CHECK(heap.write_ef(2, 5, 1s));
	CHECK(!heap.write_ef(2, 6, 1ms));
	CHECK(heap.read_fe(2, 1s)->as<int>() == 5);
	CHECK(!heap.dequeue() && !heap.pop() && !heap.dequeue(1ms));
	CHECK(heap.enqueue("job") && heap.push(3));
	CHECK(heap.dequeue()->as<std::string>() == "job" && heap.pop(0s)->as<int>() == 3);
}

static void changes(ems::heap &heap)
{
	heap.write_xf(3, 40);
	CHECK(heap.faa(3, 2).as<int>() == 40);
	CHECK(heap.cas(3, 42, "x") && !heap.cas(3, 42, "y"));
	ems::value before;
	CHECK(!heap.cas(3, 42, "y", &before) && before.as<std::string>() == "x");
	CHECK(heap.swap(3, 7).as<std::string>() == "x");
	heap.write_xf(4, 1);
	{
		ems::transaction both({{heap, 3}, {heap, 4}});

		both.write(0, both.read(0).as<int>() - 1);
		both.write(1, both.read(1).as<int>() + 1);
		both.commit();
	}
	{
		ems::transaction given_up({{heap, 3}});

		given_up.write(0, 1000);
	}
	CHECK(heap.read_ff(3).as<int>() == 6 && heap.read_ff(4).as<int>() == 2);
}

static void holding(ems::heap &heap)
{
	heap.write_xf(5, "five");
	{
		ems::lease lease = heap.read_fe_lease(5);

		CHECK(lease.what().text() == "five" && heap.tag(5) == EMS_BUSY);
		CHECK(!heap.read_fe_lease(5, 0s));
	}
	CHECK(heap.tag(5) == EMS_FULL);
	heap.read_fe_lease(5, 1s)->put(6);
	CHECK(heap.read_ff(5).as<int>() == 6);
	heap.read_fe_lease(5).keep();
	CHECK(heap.tag(5) == EMS_EMPTY && !heap.read_fe_lease(5, 1ms));

	CHECK(!heap.dequeue_lease() && !heap.dequeue_lease(1ms));
	CHECK(heap.enqueue("one") && heap.enqueue("two", 1s) && heap.push(1, 0s));
	{
		auto one = heap.dequeue_lease(), two = heap.dequeue_lease(1s);

		CHECK(one->what().text() == "one" && two->what().text() == "two" && heap.queue_length() == 2);
		one = std::move(two); /* the first one's goes with what was moved from */
		two.reset();
		CHECK(heap.queue_peek()->text() == "one");
		one->keep();
		CHECK(code_of([&] { one->keep(); }) == EMS_EINVALID);
	}
	CHECK(heap.dequeue()->text() == "one" && !heap.queue_peek() && heap.queue_length() == 0);
	CHECK(heap.stack_peek()->as<int>() == 1 && heap.stack_length() == 1 && heap.pop() && !heap.stack_peek());

	heap.write_xf(6, 6);
	{
		std::optional<ems::reader> first(heap.read_rw(6)), second = heap.read_rw(6, 0s);

		CHECK(first->what().as<int>() == 6 && heap.tag(6) == EMS_READERS);
		CHECK(second->release() == 1 && code_of([&] { heap.read_fe(6); }) == EMS_EDEADLOCK);
	}
	CHECK(heap.tag(6) == EMS_FULL);
	heap.set_tag(6, EMS_EMPTY);
	CHECK(!heap.read_rw(6, 1ms));

	heap.write_xf(7, 6);
	CHECK(heap.and_(7, 3) == 6 && heap.or_(7, 8) == 2 && heap.xor_(7, 1) == 10);
	CHECK(heap.max(7, 20).as<int>() == 11 && heap.min(7, 5.5).as<int>() == 20 && heap.read(7).as<double>() == 5.5);

	auto both = ems::snapshot({{heap, 7}, {heap, 5}});
	CHECK(both.size() == 2 && both[0].as<double>() == 5.5);
	auto transaction = ems::transaction::in_time({{heap, 7}}, 1s);
	transaction->write(0, "kept");
	transaction->commit();
	CHECK(heap.read(7).text() == "kept" && !ems::transaction::in_time({{heap, 6}}, 1ms));
}

static void full(ems::connection &connection)
{
	ems_heap_options_t options{};

	options.elements = 1;
	options.until_detached = true;
	ems::heap small = connection.create("cplusplus/small", options);
	CHECK(small.enqueue(1) && !small.enqueue(2) && !small.enqueue(2, 0s) && !small.enqueue(2, 1ms));
	CHECK(small.push(1) && !small.push(2) && !small.push(2, 0s) && !small.push(2, 1ms));
}

static void regions(ems::connection &connection)
{
	ems_region_options_t options{};

	options.size = 4096;
	options.max_size = 1 << 20;
	options.until_detached = true;
	ems::region region = connection.create_region("cplusplus/region", options),
		    other = connection.open_region("cplusplus/region");
	region.as<double>()[1] = 0.5;
	CHECK(other.as<double>()[1] == 0.5 && other.size() == 4096);
	region.set(16, 40);
	CHECK(other.add(16, 2) == 40 && other.sub(16, 1) == 42 && other.get(16) == 41);
	CHECK(region.and_(16, 8) == 41 && region.or_(16, 1) == 8 && region.xor_(16, 3) == 9 && region.exchange(16, 5) == 10);
	CHECK(region.cas(16, 5, 6) && !region.cas(16, 5, 7) && region.get(16) == 6);
	CHECK(code_of([&] { region.get(4); }) == EMS_EINVALID && code_of([&] { region.add(4096, 1); }) == EMS_ERANGE);
	region.grow(8192);
	CHECK(other.size() == 8192 && other.info().size == 8192);
	CHECK(code_of([&] { connection.open_region("cplusplus/none"); }) == EMS_ENOTFOUND);

	ems::region numbers = connection.open_or_create_region("cplusplus/numbers", options);
	ems::counters counters(numbers, 10);
	CHECK(counters.size() == 10 && counters.add(9) == 0 && counters.sub(9, 3) == 1 && counters.set(9, 7) == -2);
	CHECK(ems::counters(numbers).get(9) == 7 && code_of([&] { counters.get(10); }) == EMS_ERANGE);

	ems::region storage = connection.create_region("cplusplus/blocks", options);
	ems_blocks_options_t how{};
	how.block_size = 3;
	how.capacity = 2;
	ems::blocks blocks(storage, how);
	CHECK(blocks.store("abc") == 0 && blocks.store("def") == 1 && !blocks.store("ghi"));
	CHECK(blocks.read(1) == "def" && blocks.erase(0) && !blocks.erase(0) && !blocks.read(0));
	CHECK(blocks.store(std::string_view("\0\1\2", 3)) == 0 && blocks.read(0) == std::string("\0\1\2", 3));
	CHECK((blocks.list() == std::vector<std::uint64_t>{1, 0}) && blocks.repair() == 0);
	CHECK(code_of([&] { blocks.store("too long"); }) == EMS_EINVALID);
	CHECK(code_of([&] { ems::blocks again(region); }) == EMS_ECORRUPT);

	std::FILE *file = std::tmpfile();
	CHECK(file);
	{
		ems::region bytes = connection.open_file(fileno(file), options);

		bytes.as<char>()[0] = 'x';
		bytes.flush();
	}
	CHECK(std::fgetc(file) == 'x' && std::fclose(file) == 0);
}

static void teams(ems::connection &connection)
{
	constexpr std::uint32_t members = 3;
	std::atomic<int> sum{0}, singles{0}, masters{0};
	int counted = 0; /* in the critical section */
	std::vector<std::thread> threads;

	for (std::uint32_t one = 0; one < members; one++)
		threads.emplace_back([&] {
			ems_team_options_t options{};

			options.size = members;
			ems::team team = connection.join("cplusplus/team", options);
			CHECK(team.size() == members && team.count() == members && team.member() < members);
			masters += team.is_master();
			team.for_each(0, 100, [&](int64_t number) { sum += static_cast<int>(number); });
			CHECK(sum == 4950);
			for (int round = 0; round < 100; round++) {
				auto section = team.critical();

				CHECK(!section.owner_died());
				counted++;
			}
			singles += team.single();
			team.barrier();
			CHECK(counted == 100 * members && singles == 1);
			{
				auto loop = team.share(0, 10); /* its end waits for all */
			}
			auto section = team.critical("other", 60s);
			CHECK(section);
			section->leave();
			CHECK(team.barrier(60s) && team.deaths().empty());
		});
	for (auto &one : threads)
		one.join();
	CHECK(masters == 1);

	ems::team alone = connection.join_from_environment();
	int64_t all = 0;
	alone.for_each(5, 8, [&](int64_t number) { all += number; });
	alone.barrier();
	CHECK(!alone.get() && alone.size() == 1 && alone.is_master() && alone.single() && all == 18);
}

int main()
{
	ems::connection connection;
	ems_heap_options_t options{};

	options.elements = 100;
	ems::heap heap = connection.create("cplusplus", options);
	values(heap);
	copies(heap);
	waits(heap);
	changes(heap);
	holding(heap);
	full(connection);
	regions(connection);
	teams(connection);

	options.map = true;
	ems::heap map = connection.open_or_create("cplusplus/map", options);
	map.write_xf("key", 1);
	map.write_xf(std::string("other"), 2);
	CHECK(map.read("key").as<int>() == 1 && map.erase("key") && !map.erase("key"));
	map = connection.open("cplusplus/map");
	{
		std::string key = "held";

		map.write_xf(key, 5);
		ems::reader reader = map.read_rw(key);
		key = "another";
		CHECK(map.tag("held") == EMS_READERS);
	}
	CHECK(map.tag("held") == EMS_FULL && map.compare_erase("held", 5) && !map.compare_erase("other", 5));
	CHECK(map.read(std::string_view("other")).as<int>() == 2);
	CHECK(code_of([&] { connection.open("cplusplus/none"); }) == EMS_ENOTFOUND);
	CHECK(connection.drop("cplusplus/map") && !connection.drop("cplusplus/map"));
	CHECK(connection.drop("cplusplus"));
	return 0;
}
