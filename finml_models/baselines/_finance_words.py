"""A word list for English financial news, written for this project from general knowledge of the language.

No published list and no labelled corpus went into it, so that no licence and no test set stand behind it. It has three parts,
because in finance the sign of a move lies with what moves: quantities with the sign of their growth, words of direction, and
words that are good or bad news by themselves. Words stand as they are written in news, in all forms that are meant.
"""

from __future__ import annotations

_MORE_IS_BETTER = """
assets backlog bookings buyback capacity cash cashflow customers deliveries demand dividend dividends earnings ebit ebita ebitda exports
guidance income installations liquidity margin margins occupancy order orders output outlook passengers payout performance price prices
production productivity profit profitability profits quality rating ratings result results return returns revenue revenues sales share
shares shipments solvency stock subscribers surplus throughput traffic turnover utilisation utilization value visitors volume volumes yield
users backlogs bookings market efficiency
"""
_MORE_IS_WORSE = """
arrears bankruptcies burden charges churn claims complaints cost costs debt debts default defaults deficit delay delays
delinquencies depreciation expenditure expense expenses fraud gearing impairment impairments indebtedness inflation inventories layoffs
leverage liabilities litigation loss losses outages overruns penalties provisions recalls redundancies risk risks shortfall
taxes unemployment vacancies volatility wage wages write-downs write-offs writedowns writeoffs receivables outage
"""
_UP = """
accelerate accelerated advance advanced above boost boosted climb climbed climbing double doubled exceed exceeded exceeds
expand expanded expanding gain gained gains grew grow growing grown growth higher improve improved improvement improves improving
increase increased increases increasing jump jumped jumping larger leapt lifted raise raised raises recover recovered
recovery rebound rebounded rise risen rises rising rose soar soared strengthen strengthened surge surged surpassed tripled up upturn widen
widened more greater
"""
_DOWN = """
below contracted contracting cut cuts cutting decline declined declines declining decrease decreased decreases decreasing
deteriorate deteriorated dip dipped down downturn drop dropped dropping drops ease eased eroded fall fallen falling falls fell fewer
halve halved less lower narrowed plummeted plunge plunged reduce reduced reduces reducing reduction sank shrank shrink shrinking slid slide
slipped slow slowed slowing slump slumped smaller tumble tumbled weaken weakened weakening
"""
_GOOD = """
acclaimed achieve achieved advantage agreement approval approved award awarded beat beneficial benefit benefits best better
breakthrough competitive confidence confident contract deal delighted efficient excellent expansion favour favourable favorable
good innovative launch launched leader leading optimistic outperform outperformed outstanding partnership pleased popular positive
profitable progress promising record robust secured settled solid stable strong stronger strongest succeed success successful
successfully superior upgrade upgraded upside win winning wins won
"""
_BAD = """
abandoned accident adverse alleged bad bankrupt bankruptcy breach breached cancel cancelled canceled closing closure collapse concern
concerns crisis damage damaged difficult difficulties difficulty disappoint disappointed disappointing dismissed dispute disruption
downgrade downgraded failure faulty fine fined fire fraudulent halt halted insolvency insolvent investigation
lawsuit lawsuits lost miss missed misses negative penalty pessimistic poor postpone postponed pressure probe
problem problems recall recalled redundant refused scandal severe shortage strike sued suffer suffered suspend suspended terminate
terminated threat uncertain uncertainty underperform unfavourable unfavorable unprofitable violation warned warning warns weak weaker
weakness worse worsened worst
"""
_NOT = "not no never none neither nor without cannot can't didn't doesn't don't isn't wasn't won't hardly failing unable"

QUANTITIES: dict[str, int] = dict.fromkeys(_MORE_IS_BETTER.split(), 1) | dict.fromkeys(_MORE_IS_WORSE.split(), -1)
"""Quantities, 1 where growth is good and -1 where it is bad."""
DIRECTIONS: dict[str, int] = dict.fromkeys(_UP.split(), 1) | dict.fromkeys(_DOWN.split(), -1)
"""Words of direction, 1 for up and -1 for down."""
TONES: dict[str, int] = dict.fromkeys(_GOOD.split(), 1) | dict.fromkeys(_BAD.split(), -1)
"""Words that are good (1) or bad (-1) news by themselves."""
NEGATIONS = frozenset(_NOT.split())
"""Words that turn round what comes after them."""
