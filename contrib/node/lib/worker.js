'use strict';
// A started process of fork-join: node worker.js MAIN-SCRIPT CONTEXT-AS-JSON ARGUMENT…, and the parent's environment.

const { begin, serve } = require('./dropin.js');

const [main, name] = process.argv.splice(1, 3, process.argv[2]).slice(1);
if (main === undefined) throw new Error('worker.js is started by the ems module');
const { ems, context } = begin(Number(process.env.EMS_Ntasks), false, 'fj', JSON.parse(name) ?? undefined);
serve(ems, context);
