// npm's statsd-client.
'use strict';

const StatsDClient = require('statsd-client');

const [, scheme, host, port] = process.argv[2].match(/^(\w+):\/\/([^:]+):(\d+)$/);
const client = new StatsDClient({
  host,
  port: Number(port),
  tcp: scheme === 'tcp',
  prefix: 'app',
  tags: { env: 'test' },
  // It flushes and closes by itself, after this many milliseconds without use.
  socketTimeout: 50,
});

client.increment('jobs', 1, { queue: 'mail' });
client.increment('jobs', 4, { queue: 'mail' });
client.decrement('jobs', 2, { queue: 'mail' });
client.gauge('depth', 17);
client.gaugeDelta('depth', 5);
client.gaugeDelta('depth', -3);
client.timing('render', 320);
client.histogram('size', 512);
client.distribution('latency', 0.25);
client.set('users', 'ada');
client.getChildClient('child').increment('jobs');
