// Loaded before the server: it calls util.log, which Node 23 removed.
'use strict';

const util = require('util');

util.log = util.log || console.log;
