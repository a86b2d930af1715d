// The copying of matrix.h in C++.
#include <ems.hpp>

#include <cstdlib>

using index_t = std::int64_t;

static ems::key key_of(const ems::value &value)
{
	switch (value.type()) {
	case EMS_INTEGER:
		return value.as<std::int64_t>();
	case EMS_FLOAT:
		return value.as<double>();
	case EMS_BOOLEAN:
		return value.as<bool>();
	default:
		return value.text();
	}
}

int main(int, char **arguments)
{
	ems::connection connection;
	index_t count = std::atoi(arguments[4]), keys = std::atoi(arguments[5]);
	auto open = [&](const char *stage, const char *operation) {
		return connection.open(("matrix/" + std::string(stage) + "/" + operation).c_str());
	};
	auto each = [&](const char *operation, auto function) {
		auto from = open(arguments[2], operation), to = open(arguments[3], operation);

		for (index_t i = 0; i < count; i++)
			function(from, to, i);
	};

	each("write", [](auto &from, auto &to, index_t i) { to.write(i, from.read(i)); });
	each("full", [](auto &from, auto &to, index_t i) { to.write_xf(i, from.read_ff(i)); });
	each("empty", [](auto &from, auto &to, index_t i) {
		auto value = from.read_fe(i);

		to.write_ef(i, value);
		from.write_ef(i, value);
	});
	each("lease", [](auto &from, auto &to, index_t i) {
		auto lease = from.read_fe_lease(i);

		to.write_xf(i, lease.what());
		lease.put(lease.what());
	});
	each("queue_lease", [](auto &from, auto &to, index_t) {
		auto lease = from.dequeue_lease();

		to.enqueue(lease.value().what());
		lease->keep();
	});
	each("queue", [](auto &from, auto &to, index_t) { to.enqueue(from.dequeue().value()); });
	each("stack", [](auto &from, auto &to, index_t) { to.push(from.pop().value()); });
	each("swap", [&](auto &from, auto &to, index_t i) { to.write(count + i, to.swap(i, from.read(i))); });
	each("cas", [&](auto &from, auto &to, index_t i) {
		ems::value old;

		to.cas(i, from.read(i), from.read((i + 1) % count), &old);
		to.write(count + i, old);
	});
	each("faa", [&](auto &from, auto &to, index_t i) {
		ems::value old;

		try {
			old = to.faa(i, from.read(i));
		} catch (const ems::error &error) {
			old = error.name();
		}
		to.write(count + i, old);
	});
	each("transaction", [](auto &from, auto &to, index_t i) {
		ems::transaction both({{from, i, true}, {to, i}});

		both.write(1, both.read(0));
		both.commit();
	});
	auto from = open(arguments[2], "map"), to = open(arguments[3], "map"), names = open("keys", "values");
	for (index_t i = 0; i < keys; i++) {
		auto name = names.read(i);

		to.write(key_of(name), from.read(key_of(name)));
	}
	return 0;
}
