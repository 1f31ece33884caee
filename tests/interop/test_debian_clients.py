"""The clients that Debian packages, as they are."""

from __future__ import annotations

from unittest.mock import ANY

import pytest


@pytest.mark.server("python3-statsd")
@pytest.mark.parametrize("scheme", ["udp", "tcp", "unix"])
async def test_python3_statsd(hear, sender, debian, scheme):
    debian("python3-statsd", "/usr/lib/python3/dist-packages/statsd/__init__.py")
    heard = await hear(sender("send_statsd.py"), scheme=scheme, lines=218)
    assert heard.metrics == {
        "app.jobs": ("counter", 3),
        "app.sampled": ("counter", 30),
        "app.depth": ("gauge", 12),
        "app.balance": ("gauge", -4.5),
        "app.render": ("timer", 3, 1820.25, 0.25, 1500),
        "app.rare": ("timer", 2, 40, 20, 20),
        "app.users": ("set", 2),
        "app.block": ("timer", 1, ANY, ANY, ANY),
        "app.function": ("timer", 1, ANY, ANY, ANY),
        "app.batched": ("counter", 100),
        "app.steps": ("timer", 100, 4950, 0, 99),
    }


@pytest.mark.server("python3-aiodogstatsd")
async def test_python3_aiodogstatsd(hear, sender, debian):
    debian("python3-aiodogstatsd", "/usr/lib/python3/dist-packages/aiodogstatsd/__init__.py")
    heard = await hear(sender("send_aiodogstatsd.py"), lines=9)
    assert heard.metrics == {
        "app.jobs{env=test,queue=mail}": ("counter", 2),
        "app.sampled{env=test}": ("counter", 4),
        "app.depth{env=test}": ("gauge", 17),
        "app.size{env=test}": ("histogram", 1, 512, 512, 512),
        "app.latency{env=test}": ("distribution", 1, 0.25, 0.25, 0.25),
        "app.render{env=test}": ("timer", 1, 320, 320, 320),
        "app.block{env=test}": ("timer", 1, ANY, ANY, ANY),
        "app.task{env=test}": ("timer", 1, ANY, ANY, ANY),
    }


@pytest.mark.server("python3-aiomeasures")
async def test_python3_aiomeasures(hear, sender, debian):
    debian("python3-aiomeasures", "/usr/lib/python3/dist-packages/aiomeasures/__init__.py")
    heard = await hear(sender("send_aiomeasures.py"), lines=9)
    assert heard.metrics == {
        "plain.jobs": ("counter", 2),
        "plain.render": ("timer", 1, 320, 320, 320),
        "plain.depth": ("gauge", 22),
        "plain.users": ("set", 1),
        "dd.jobs{env=test,queue=mail}": ("counter", 3),
        "dd.jobs{env=test,queue=web}": ("counter", 8),
        "dd.size{env=test}": ("histogram", 1, 512, 512, 512),
    }


@pytest.mark.server("libnet-statsd-perl")
async def test_libnet_statsd_perl(hear, sender, debian):
    debian("libnet-statsd-perl", "/usr/share/perl5/Net/Statsd.pm")
    heard = await hear(sender("send_net_statsd.pl"), lines=12)
    assert heard.metrics == {
        "app.jobs": ("counter", 1),
        "app.pages": ("counter", 1),
        "app.bytes": ("counter", 1536),
        "app.sampled": ("counter", 4),
        "app.render": ("timer", 1, 320, 320, 320),
        "app.rare": ("timer", 2, 40, 20, 20),
        "app.depth": ("gauge", 17.5),
        "app.cold": ("gauge", -18),
        "app.warm": ("gauge", 55),
    }


@pytest.mark.server("ruby-statsd")
async def test_ruby_statsd(hear, sender, debian):
    debian("ruby-statsd", "/usr/lib/ruby/vendor_ruby/statsd.rb")
    heard = await hear(sender("send_ruby_statsd.rb"), lines=212)
    assert heard.metrics == {
        "app.jobs": ("counter", 4),
        "app.sampled": ("counter", 10),
        "app.Shop.Orders": ("counter", 1),
        "app.depth": ("gauge", 22),
        "app.render": ("timer", 1, 320, 320, 320),
        "app.rare": ("timer", 2, 40, 20, 20),
        "app.users": ("set", 2),
        "app.block": ("timer", 1, ANY, ANY, ANY),
        "app.batched": ("counter", 100),
        "app.steps": ("timer", 100, 4950, 0, 99),
    }


@pytest.mark.server("node-lynx")
async def test_node_lynx(hear, sender, debian):
    debian("node-lynx", "/usr/share/nodejs/lynx/package.json")
    # Debian's own Node looks there by itself; others do not.
    environment = {"NODE_PATH": "/usr/share/nodejs"}
    heard = await hear(sender("send_lynx.js"), lines=14, environment=environment)
    assert heard.metrics == {
        "app.jobs": ("counter", 6),
        "app.pages": ("counter", 1),
        "app.sampled": ("counter", 10),
        "app.depth": ("gauge", 22),
        "app.render": ("timer", 1, 320, 320, 320),
        "app.users": ("set", 1),
        "app.one": ("counter", 1),
        "app.two": ("counter", 2),
        "app.span": ("timer", 1, 500, 500, 500),
        "app.block": ("timer", 1, ANY, ANY, ANY),
    }
