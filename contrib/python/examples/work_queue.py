#!/usr/bin/env python3
"""work_queue.py: orders move money between accounts; each is carried out once, whichever process is killed.

    work_queue.py [-n PROCESSES] [--accounts N] [--orders N] [--kill]

The orders are in the queue of a heap, and a process leases one at a time: if it dies, the order is in the queue again. One
transaction moves the money and notes that the order is done; so an order that comes again is known, and none is half done. With
--kill a worker is killed in mid-work. The end is a check: the sum of all accounts is what it was.
"""

import argparse
import multiprocessing
import os
import random
import signal
import sys

import ems

BALANCE = 1000


def carry_out(accounts, done, order):
    giver, taker = accounts[order["from"]], accounts[order["to"]]
    with ems.transaction([giver, taker, done[order["number"]]]) as transaction:
        if transaction[2]:
            return
        amount = min(order["amount"], transaction[0])
        transaction[0] -= amount
        transaction[1] += amount
        transaction[2] = True


def work(accounts, done):
    while True:
        try:
            # While others have leased orders these may come back.
            lease = accounts.dequeue_lease(timeout=0.1 if accounts.queue_length() else 0)
        except ems.EmptyError:
            return
        except TimeoutError:
            continue
        with lease:
            carry_out(accounts, done, lease.value)


def main():
    parser = argparse.ArgumentParser(description="orders, carried out once")
    parser.add_argument("-n", type=int, default=3, metavar="PROCESSES")
    parser.add_argument("--accounts", type=int, default=100, metavar="N")
    parser.add_argument("--orders", type=int, default=5000, metavar="N")
    parser.add_argument("--kill", action="store_true", help="kill one of the workers")
    options = parser.parse_args()

    client = ems.connect()
    accounts = client.heap(f"work_queue/{os.getpid()}/accounts", elements=max(options.accounts, options.orders),
                           fill=BALANCE, until_detached=True)
    done = client.heap(f"work_queue/{os.getpid()}/done", elements=options.orders, until_detached=True)
    for number in range(options.orders):
        giver, taker = random.sample(range(options.accounts), 2)
        accounts.enqueue({"number": number, "from": giver, "to": taker, "amount": random.randrange(500)})

    workers = [multiprocessing.Process(target=work, args=(accounts, done)) for _ in range(options.n)]
    for one in workers:
        one.start()
    if options.kill:
        while accounts.queue_length() > options.orders // 2:
            pass
        os.kill(workers[0].pid, signal.SIGKILL)
    for one in workers:
        one.join()

    total = sum(accounts.read(number) for number in range(options.accounts))
    carried_out = sum(done.read(number) is True for number in range(options.orders))
    print(f"{carried_out} of {options.orders} orders carried out; the accounts hold {total}")
    if (carried_out, total) != (options.orders, BALANCE * options.accounts):
        sys.exit("that is wrong")


if __name__ == "__main__":
    main()
