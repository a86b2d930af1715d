// <ems.hpp>: every value comes back as it was, handles close themselves, times end, errors are exceptions.
#include <ems.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

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

	options.map = true;
	ems::heap map = connection.open_or_create("cplusplus/map", options);
	map.write_xf("key", 1);
	map.write_xf(std::string("other"), 2);
	CHECK(map.read("key").as<int>() == 1 && map.erase("key") && !map.erase("key"));
	map = connection.open("cplusplus/map");
	CHECK(map.read(std::string_view("other")).as<int>() == 2);
	CHECK(code_of([&] { connection.open("cplusplus/none"); }) == EMS_ENOTFOUND);
	CHECK(connection.drop("cplusplus/map") && !connection.drop("cplusplus/map"));
	CHECK(connection.drop("cplusplus"));
	return 0;
}
