// npm's hot-shots; the first argument chooses how it sends.
'use strict';

const net = require('net');
const { StatsD } = require('hot-shots');

// The dice are loaded: a sampled call is always sent, with its rate.
Math.random = () => 0;

const [mode, target] = process.argv.slice(2);
const [, scheme, rest] = target.match(/^(\w+):\/\/(.*)$/);
const [host, port] = rest.split(':');

const where = scheme === 'unix'
  ? { protocol: 'stream', stream: net.connect(rest) }
  : { protocol: scheme, host, port: Number(port) };

const modes = {
  plain: {},
  packed: { maxBufferSize: 1432 },
  aggregated: { aggregation: true },
  telegraf: { telegraf: true },
  datadog: { datadog: true, containerID: '0123456789abcdef', cardinality: 'low' },
};

const client = new StatsD({
  ...where,
  ...modes[mode],
  prefix: 'app.',
  globalTags: { env: 'test' },
  errorHandler: (error) => { throw error; },
});

client.increment('jobs', 1, { queue: 'mail' });
client.increment('jobs', 4, { queue: 'mail' });
client.decrement('jobs', 2, { queue: 'mail' });
client.increment(['pages', 'hits']);
client.gauge('depth', 17);
client.timing('render', 320);
client.histogram('size', 512);
client.set('users', 'ada');
client.set('users', 'grace');
client.set('users', 'ada');
if (mode !== 'telegraf') {
  client.distribution('latency', 0.25);
  client.event('deployed', 'all\nof it', {
    alert_type: 'success', priority: 'low', date_happened: new Date(1700000000000),
  }, { version: '1.2' });
  client.check('db.up', client.CHECKS.CRITICAL, { hostname: 'db-1', message: 'gone' }, ['db:main']);
}
if (mode === 'plain') {
  client.increment('sampled', 3, 0.1);
  client.timing('rare', 20, 0.5);
}
if (mode === 'datadog') {
  client.gauge('level', 12.5, { timestamp: new Date() });
}
client.close();
