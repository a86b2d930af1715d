'use strict';
// require('ems')(nThreads, pin, type, context) is EMS's interface; require('ems').connect() the native one.

const { initialize } = require('./lib/dropin.js');
const native = require('./lib/native.js');

module.exports = Object.assign((...args) => initialize(...args), { initialize }, native);
