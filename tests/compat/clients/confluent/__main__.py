"""confluent-kafka (librdkafka) does a scenario: prints what a user would see, the same from every broker.

python confluent SCENARIO HOST:PORT
"""

import sys
import threading

import broker

# No scenario takes nearly as long; one that does has hung.
MOST_S = 180


def overdue():
    print("the scenario hangs", file=sys.stderr)
    broker.end_at_once(1)


def main(scenario, at):
    watch = threading.Timer(MOST_S, overdue)
    watch.daemon = True
    watch.start()
    broker.AT = at
    import admin
    import groups
    import new_groups
    import records
    import static_groups
    import transactions
    import transform

    rooms = (records, groups, static_groups, new_groups, transactions, transform, admin)
    scenarios = {name: run for room in rooms for name, run in room.SCENARIOS.items()}
    scenarios[scenario]()
    sys.stdout.flush()


main(*sys.argv[1:3])
