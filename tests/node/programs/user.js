'use strict';
// One of several user processes: COUNT times in the critical section of the context that the argument names.
const ems = require('ems')(1, false, 'user', process.argv[2]);
const shared = ems.new({ dimensions: [10], heapSize: 10000, useMap: true, useExisting: true, persist: false, filename: 'programs/user.ems' });
for (let i = 0; i < Number(process.argv[3]); i++) {
  ems.critical(() => shared.write('sum', shared.read('sum') + 1));
}
shared.enqueue(process.pid);
