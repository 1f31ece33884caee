// Debian's node-lynx.
'use strict';

const mersenne = require('mersenne');

// The dice are loaded: a sampled call is always sent, with its rate.
mersenne.MersenneTwister19937 = function dice() {
  this.genrand_real2 = () => 0;
};

const lynx = require('lynx');

const place = new URL(process.argv[2].replace('udp:', 'http:'));
const client = new lynx(place.hostname, Number(place.port), {
  scope: 'app',
  on_error: (error) => { throw error; },
});

client.increment('jobs');
client.increment(['jobs', 'pages']);
client.decrement('jobs');
client.count('jobs', 5);
client.increment('sampled', 0.1);
client.gauge('depth', 17);
client.gauge('depth', '+5');
client.timing('render', 320);
client.set('users', 'ada');
client.send({ one: '1|c', two: '2|c', span: '500|ms' });
client.createTimer('block').stop();
// It closes its socket by itself after a second without use.
