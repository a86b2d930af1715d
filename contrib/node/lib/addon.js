'use strict';
// The compiled part, which make puts beside package.json.
module.exports = require('../ems.node');
