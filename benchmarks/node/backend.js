// A backend that sends nothing: it only keeps the sums of what the server says it received, and
// shows them through the server's own `stats` command as `bench.packets`, `bench.metrics`, ….
'use strict';

const NAMES = {
  packets: 'statsd.packets_received',
  metrics: 'statsd.metrics_received',
  bad: 'statsd.bad_lines_seen',
};

exports.init = (startupTime, config, events) => {
  const sums = { packets: 0, metrics: 0, bad: 0 };
  events.on('flush', (timestamp, metrics) => {
    for (const [short, long] of Object.entries(NAMES)) {
      sums[short] += metrics.counters[long];
    }
  });
  events.on('status', (write) => {
    for (const [short, sum] of Object.entries(sums)) {
      write(null, 'bench', short, sum);
    }
  });
  return true;
};
