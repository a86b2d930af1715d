// Copies COUNT values from heap FROM to heap TO: by elements; by its queue; and adds to those of heap SUMS.
#include <ems.hpp>

int main(int count, char **arguments)
{
	if (count != 5)
		return 2;
	ems::connection connection;
	ems::heap source = connection.open(arguments[1]), target = connection.open(arguments[2]),
		  sums = connection.open(arguments[3]);
	int values = std::stoi(arguments[4]);

	for (int i = 0; i < values; i++)
		target.write_xf(i, source.read_ff(i));
	for (int i = 0; i < values; i++)
		if (!target.enqueue(source.dequeue().value()))
			return 1;
	sums.faa(0, 1);
	sums.faa(1, 0.5);
	sums.faa(2, "x");
	sums.cas(3, (1LL << 53) + 1, INT64_MIN);
	return 0;
}
