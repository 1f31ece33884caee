// npm's node-statsd.
'use strict';

const StatsD = require('node-statsd');

// The dice are loaded: a sampled call is always sent, with its rate.
Math.random = () => 0;

const place = new URL(process.argv[2].replace('udp:', 'http:'));
const client = new StatsD({
  host: place.hostname,
  port: Number(place.port),
  prefix: 'app.',
  suffix: '.v1',
  global_tags: ['env:test'],
});

let waiting = 0;

function sent(error) {
  if (error) throw error;
  waiting -= 1;
  if (waiting === 0) client.close();
}

function call(method, ...args) {
  waiting += 1;
  client[method](...args, sent);
}

call('increment', 'jobs', 1, ['queue:mail']);
call('increment', 'jobs', 4, ['queue:mail']);
call('decrement', 'jobs', 2, ['queue:mail']);
call('increment', 'sampled', 3, 0.1);
call('gauge', 'depth', 17);
call('timing', 'render', 320);
call('timing', 'rare', 20, 0.5);
call('histogram', 'size', 512);
call('unique', 'users', 'ada');
call('set', 'users', 'grace');
