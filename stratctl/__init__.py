"""Portfolio Strategies on zerohash as code: declare, plan, review, apply, audit."""

__version__ = "0.1.0"
