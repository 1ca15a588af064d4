"""The instruments of a fresh sandbox: documented codes, precisions and minimums.

Prices are made up but plausible. Precisions follow the provider's instrument table
(BTC 8, ETH and its tokens 18, SOL 9, XRP and USDC 6, XLM 7, NEAR 24); the minimum notional
is 0.02 of the quoted currency, 0.01 for stablecoins.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset. `precision` is its decimal places; `minimum` is a notional in cents."""

    symbol: str
    name: str
    precision: int
    price: str
    type: str = "crypto"
    stablecoin: bool = False

    @property
    def minimum(self) -> int:
        """Least notional of a trade, in cents of the quoted currency."""
        return 1 if self.stablecoin else 2


FIAT: tuple[Asset, ...] = (
    Asset("USD", "US Dollar", 2, "1.00", type="fiat"),
    Asset("EUR", "Euro", 2, "1.08", type="fiat"),
)

CRYPTO: tuple[Asset, ...] = (
    Asset("BTC", "Bitcoin", 8, "60000.00"),
    Asset("ETH", "Ethereum", 18, "3000.00"),
    Asset("SOL", "Solana", 9, "150.00"),
    Asset("AAVE.ETH", "Aave", 18, "95.40"),
    Asset("UNI.ETH", "Uniswap", 18, "7.85"),
    Asset("LINK.ETH", "Chainlink", 18, "14.32"),
    Asset("MKR.ETH", "Maker", 18, "2450.00"),
    Asset("LDO.ETH", "Lido DAO", 18, "1.95"),
    Asset("ARB.ETH", "Arbitrum", 18, "0.82"),
    Asset("ARB.ARBITRUM", "Arbitrum", 18, "0.82"),
    Asset("COMP.ETH", "Compound", 18, "52.10"),
    Asset("CRV.ETH", "Curve", 18, "0.31"),
    Asset("GRT.ETH", "The Graph", 18, "0.17"),
    Asset("SAND.ETH", "The Sandbox", 18, "0.33"),
    Asset("MANA.ETH", "Decentraland", 18, "0.36"),
    Asset("ENJ.ETH", "Enjin", 18, "0.21"),
    Asset("BAT.ETH", "Basic Attention Token", 18, "0.19"),
    Asset("SHIB.ETH", "Shiba Inu", 18, "0.0000174"),
    Asset("ONDO.ETH", "Ondo", 18, "0.98"),
    Asset("WBTC.ETH", "Wrapped Bitcoin", 8, "59950.00"),
    Asset("USDC.ETH", "USD Coin", 6, "1.00", stablecoin=True),
    Asset("USDT.ETH", "Tether", 6, "1.00", stablecoin=True),
    Asset("DAI.ETH", "Dai", 18, "1.00", stablecoin=True),
    Asset("USDC.SOL", "USD Coin", 6, "1.00", stablecoin=True),
    Asset("ADA", "Cardano", 6, "0.38"),
    Asset("ALGO", "Algorand", 6, "0.13"),
    Asset("ATOM", "Cosmos", 6, "4.55"),
    Asset("AVAX", "Avalanche", 18, "26.70"),
    Asset("BCH", "Bitcoin Cash", 8, "340.00"),
    Asset("BNB", "BNB", 18, "580.00"),
    Asset("DOGE", "Dogecoin", 8, "0.12"),
    Asset("DOT", "Polkadot", 10, "4.40"),
    Asset("HBAR", "Hedera", 8, "0.055"),
    Asset("LTC", "Litecoin", 8, "66.00"),
    Asset("MATIC.POLYGON", "Polygon", 18, "0.41"),
    Asset("NEAR", "Near", 24, "4.85"),
    Asset("SUI", "Sui", 9, "1.75"),
    Asset("XLM", "Stellar", 7, "0.095"),
    Asset("XRP", "XRP", 6, "0.55"),
    Asset("XTZ", "Tezos", 6, "0.68"),
)

_PRECISION_OF_CHAIN: Mapping[str, int] = {"ETH": 18, "SOL": 9, "XLM": 7, "BSC": 18, "NEAR": 24}


def new_asset(symbol: str, price: str) -> Asset:
    """An asset that is not in the tables above; it gets the precision of its chain."""
    chain = symbol.partition(".")[2]
    return Asset(symbol, symbol, _PRECISION_OF_CHAIN.get(chain, 8), price)
