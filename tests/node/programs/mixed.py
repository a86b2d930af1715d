"""A user process of EMS's interface in Python, on an array and in a critical section that it shares with one in Node.js."""

import ems

ems.initialize(1, False, "user", "mixed")
shared = ems.new({
    "dimensions": [10], "heapSize": 1000, "useMap": True, "useExisting": True, "persist": False, "filename": "mixed.ems",
})
for i in range(500):
    ems.critical(lambda: shared.write("sum", shared.read("sum") + 1))
shared.writeEF("answer", {"from": "python"})
