/* The functions on transactions: see transaction.h, and ems.h for what they promise. */
#include "client/transaction.h"

#include "base/error.h"
#include "client/failure.h"
#include "client/process.h"
#include "client/session.h"
#include "client/value.h"

static int begin_failed(int r, const ems_transaction_element_t *elements, size_t count, size_t failed)
{
	if (r == -ERROR_DEADLOCK && failed >= count)
		return failure_say(r, "transaction_begin: the session has a transaction already; end that first");
	if (failed >= count)
		return failure_of(r);
	if (r == -ERROR_LIMIT)
		return failure_say(r, "transaction_begin: too many elements of one heap (832), heaps (127), or threads "
				      "in a heap (4095)");
	return elements[failed].heap ? failure_at(r, elements[failed].heap, "transaction_begin", &elements[failed].key)
				     : r; /* noted by heap_check */
}

int ems_transaction_begin_until(const ems_transaction_element_t *elements, size_t count,
				ems_transaction_t **transaction, ems_deadline_t deadline)
{
	size_t failed = count;
	int r;

	if (!transaction || (count > 0 && !elements))
		return failure_say(-ERROR_INVALID, "transaction_begin: no elements, or no place for the result");
	r = transaction_begin(elements, count, deadline, false, transaction, &failed);
	if (r == -ERROR_FORKED || r == -ERROR_INVALID)
		return r == -ERROR_INVALID && elements[failed].heap ? begin_failed(r, elements, count, failed) : r;
	return r < 0 ? begin_failed(r, elements, count, failed) : 0;
}

int ems_transaction_begin(const ems_transaction_element_t *elements, size_t count, ems_transaction_t **transaction)
{
	return ems_transaction_begin_until(elements, count, transaction, EMS_FOREVER);
}

/* 0 when it is that of the calling thread's session, and open. */
static int check(const struct ems_transaction *transaction, const char *name)
{
	int r;

	if (!transaction)
		return failure_say(-ERROR_INVALID, "%s: no transaction is given", name);
	if (process_is_another(transaction->process))
		return failure_say(-ERROR_FORKED, "%s: the transaction is the parent process's", name);
	if (!thread_cache.thread || transaction->session != thread_cache.thread->present || !transaction->open)
		return failure_say(-ERROR_INVALID, "%s: this thread's session has no such transaction open", name);
	r = transaction->closed ? 0 : transaction_resume(transaction);
	return r < 0 ? failure_of(r) : 0;
}

static int closed(const char *name)
{
	return failure_say(-ERROR_CONFLICT, "%s: the transaction was aborted when one of its heaps was closed", name);
}

static int check_which(const struct ems_transaction *transaction, size_t which, const char *name)
{
	int r = check(transaction, name);

	if (r < 0)
		return r;
	if (transaction->closed)
		return closed(name);
	if (which >= transaction->count)
		return failure_say(-ERROR_RANGE, "%s: no element %zu (the transaction has %zu)", name, which,
				   transaction->count);
	return 0;
}

static const struct shm_member *member(const struct ems_transaction *transaction, size_t which)
{
	return &transaction->shm.members[transaction->place[which]];
}

static int failed(int r, const char *name, size_t which)
{
	if (r == -ERROR_READ_ONLY)
		return failure_say(r, "%s: element %zu of the transaction was named for reading only", name, which);
	return r < 0 ? failure_of(r) : 0;
}

int ems_transaction_read(ems_transaction_t *transaction, size_t which, ems_value_t *value)
{
	ems_value_t ignored = EMS_VALUE_INIT;
	int r = check_which(transaction, which, "transaction_read");

	if (r < 0)
		return r;
	r = shm_transaction_read(&transaction->shm, member(transaction, which), value_out(value ? value : &ignored));
	ems_value_clear(&ignored);
	return failed(r, "transaction_read", which);
}

int ems_transaction_write(ems_transaction_t *transaction, size_t which, const ems_value_t *value)
{
	int r = check_which(transaction, which, "transaction_write");

	if (r < 0)
		return r;
	r = value ? value_check(value) : -ERROR_INVALID;
	if (r < 0)
		return failure_say(r, "transaction_write: element %zu: %s", which, error_text(r));
	transaction->busy = true;
	r = shm_transaction_write(&transaction->shm, member(transaction, which), value_in(value));
	transaction->busy = false;
	return failed(r, "transaction_write", which);
}

int ems_transaction_commit(ems_transaction_t *transaction)
{
	int r = check(transaction, "transaction_commit");

	if (r < 0)
		return r;
	transaction_end(transaction, true);
	return transaction->closed ? closed("transaction_commit") : 0;
}

int ems_transaction_abort(ems_transaction_t *transaction)
{
	int r = check(transaction, "transaction_abort");

	if (r < 0)
		return r;
	transaction_end(transaction, false);
	return 0;
}
