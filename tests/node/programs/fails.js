'use strict';
// bsp whose process 1 ends as the argument says, while the others wait for it.
const ems = require('ems')(3, false, 'bsp', 'programs/fails');
if (ems.myID === 1) {
  if (process.argv[2] === 'kill') process.kill(process.pid, 'SIGKILL');
  if (process.argv[2] === 'throw') throw new Error('as asked');
  if (process.argv[2] === 'exit') process.exit(3);
  if (process.argv[2] === 'parent') process.kill(process.ppid, 'SIGKILL');
}
console.log(`process ${process.pid}`);
if (process.argv[2] !== 'exit') ems.barrier();
