# Debian's ruby-statsd.
require 'statsd'
require 'uri'

# The dice are loaded: a sampled call is always sent, with its rate.
class Statsd
  def rand
    0.0
  end
end

place = URI(ARGV[0])
client = Statsd.new(place.host, place.port)
client.namespace = 'app'
client.increment 'jobs'
client.count 'jobs', 4
client.decrement 'jobs'
client.increment 'sampled', 0.1
client.increment 'Shop::Orders'
client.gauge 'depth', 17
client.gauge 'depth', '+5'
client.timing 'render', 320
client.timing 'rare', 20, 0.5
client.set 'users', 'ada'
client.set 'users', 'grace'
client.time('block') { nil }
client.batch do |batch|
  100.times do |number|
    batch.increment 'batched'
    batch.timing 'steps', number
  end
end
