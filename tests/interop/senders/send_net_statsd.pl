# Debian's libnet-statsd-perl.
use strict;
use warnings;

# The dice are loaded: a sampled call is always sent, with its rate.
BEGIN { *CORE::GLOBAL::rand = sub { 0 } }

use Net::Statsd;

my ($host, $port) = $ARGV[0] =~ m{^udp://([^:]+):(\d+)$} or die "no address";
$Net::Statsd::HOST = $host;
$Net::Statsd::PORT = $port;

Net::Statsd::increment('app.jobs');
Net::Statsd::increment(['app.jobs', 'app.pages']);
Net::Statsd::decrement('app.jobs');
Net::Statsd::update_stats('app.bytes', 1536);
Net::Statsd::increment('app.sampled', 0.25);
Net::Statsd::timing('app.render', 320);
Net::Statsd::timing('app.rare', 20, 0.5);
Net::Statsd::gauge('app.depth' => 17.5);
Net::Statsd::gauge('app.cold' => 0, 'app.cold' => -18, 'app.warm' => 55);
