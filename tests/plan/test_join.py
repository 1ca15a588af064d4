"""The join of desired and live, said a second time in another engine."""

from __future__ import annotations

import polars as pl

from stratctl.core.errors import InputError
from stratctl.core.tables import Table
from stratctl.diff import diff
from tests.plan.generate import worlds
from tests.plan.planned import Bench, law
from tests.worlds import World

_bench = Bench()


@law(worlds)
def test_polars_joins_the_same_flows(world: World) -> None:
    """Outstanding flows and exits per participant agree with a left join in Polars."""
    space = _bench.space()
    configuration, live = world.configuration(space), world.live(space)
    try:
        changes = diff(configuration.desired, live)
    except InputError:
        return
    ids = pl.DataFrame(
        [(s.name, s.id) for s in live.strategies],
        schema={"strategy": pl.String, "strategy_id": pl.String},
        orient="row",
    )
    named = _frame(changes.managed).join(ids, on="strategy", how="left")
    joined = named.join(
        _frame(live.rows), on=["strategy_id", "participant_code"], how="left", suffix="_live"
    )
    more_in = pl.col("contributed_minor") - pl.col("contributed_minor_live").fill_null(0)
    more_out = pl.col("withdrawn_minor") - pl.col("withdrawn_minor_live").fill_null(0)
    tolerance = pl.col("tolerance_minor").fill_null(0)
    left = pl.col("exited_live").fill_null(False)
    expected = joined.select(
        "strategy",
        "participant_code",
        pl.when(pl.col("manages_funding") & (more_in > tolerance)).then(more_in).otherwise(0),
        pl.when(pl.col("manages_funding") & (more_out > tolerance))
        .then(more_out)
        .otherwise(0)
        .alias("out"),
        (pl.col("exited") & pl.col("trader_id").is_not_null() & ~left).alias("leaving"),
    ).rows()
    found = {
        (strategy, code): (flow_in + lost_in, flow_out + lost_out, leaving)
        for strategy, code, flow_in, flow_out, leaving, lost_in, lost_out in space.rows(
            "SELECT strategy, participant_code, flow_in_minor, flow_out_minor, leaving,"
            f" forfeited_in_minor, forfeited_out_minor FROM {changes.rows}"
        )
    }
    assert len(found) == len(changes.rows)
    for strategy, code, money_in, money_out, leaving in expected:
        nothing = (0, 0, False)
        assert found.get((strategy, code), nothing) == (money_in, money_out, leaving)
    assert set(found) <= {(strategy, code) for strategy, code, *_ in expected}


def _frame(table: Table) -> pl.DataFrame:
    kinds = {"BIGINT": pl.Int64, "INTEGER": pl.Int32, "BOOLEAN": pl.Boolean, "VARCHAR": pl.String}
    schema = {column: kinds[kind] for column, kind in table.schema.items()}
    return pl.DataFrame(table.rows(), schema=schema, orient="row")
