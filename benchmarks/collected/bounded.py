"""Problems of the other tables between bounds: that cut the minimum off, that hold the start, one-sided, equal, narrow.

The tight ones of Moré, Garbow & Hillstrom's are after Gay, A trust-region approach to linearly constrained
optimization, Lect. Notes Math. 1066 (1984) 72-105; the others are made by rules that are told below.
"""

from dataclasses import replace

import numpy as np

from .andrei import PROBLEMS as ANDREI
from .more_garbow_hillstrom import PROBLEMS as MGH
from .terms import Problem

inf = np.inf
FREE = MGH | ANDREI

PROBLEMS: dict[str, Problem] = {
    "ROSEN.cut": MGH["ROSEN"].within([-50, 0], [0.5, 100]),
    "ROSEN.low": MGH["ROSEN"].within([-1.5, 1.5], inf),
    "FREUD.cut": MGH["FREUD"].within([0, -20], [20, -0.9]),
    "POWBADSC.box": MGH["POWBADSC"].within([0, 1], [1, 9]),
    "BROWNBAD.box": MGH["BROWNBAD"].within([0, 3e-5], [1e6, 100]),
    "BEALE.cut": MGH["BEALE"].within([0.6, 0.5], [10, 100]),
    "HELIX.cut": MGH["HELIX"].within([-100, -1, -1], [0.8, 1, 1]),
    "HELIX.fixed": MGH["HELIX"].within([-100, 0.2, -1], [100, 0.2, 1]),
    "BARD.cut": MGH["BARD"].within([0.1, 0, 0], [50, 100, 50]),
    "GAUSS.cut": MGH["GAUSS"].within([0.398, 1, -0.5], [4.2, 2, 0.1]),
    "GULF.positive": MGH["GULF"].within(1e-10, 10),
    "BOX3D.cut": MGH["BOX3D"].within([0, 5, 0], [2, 9.5, 20]),
    "SINGULAR.cut": MGH["SINGULAR"].within([0.1, -20, -1, -1], [100, 20, 1, 50]),
    "WOOD.cut": MGH["WOOD"].within(-100, [0, 10, 100, 100]),
    "KOWOSB.cut": MGH["KOWOSB"].within([0.193, 0.1, 0, 0], inf),
    "KOWOSB.narrow": MGH["KOWOSB"].within([0.19, 0.18, 0.1, 0.13], [0.195, 0.2, 0.13, 0.14]),
    "BROWNDEN.cut": MGH["BROWNDEN"].within([-10, 0, -100, -20], [100, 15, 0, 0.2]),
    "OSBORNE1.cut": MGH["OSBORNE1"].within([0.37, 0, -3, 0, 0], [0.5, 3, 0, 0.1, 0.0215]),
    "BIGGS6.cut": MGH["BIGGS6"].within([0, 0, 0, 1, 0, 0], [2, 8, 1, 7, 5, 5]),
    "OSBORNE2.cut": MGH["OSBORNE2"].within(
        [1, 0.5, 0, 0.6, 0, 0, 0, 0, 0, 4, 2], [150, 100, 100, 100, 0.5, 500, 500, 5, 10, 100, 6]
    ),
    "WATSON-12.cut": MGH["WATSON-12"].within([-1, 0, -1, -1, *[-2] * 8], [10] * 6 + [0.5] * 6),
    "PENALTY1-10.cut": MGH["PENALTY1-10"].within(-1, [0.1, *[0.2] * 9]),
    "PENALTY2-10.cut": MGH["PENALTY2-10"].within(
        [-10, 0.1, 0, 0.05, 0, -10, 0, 0.2, 0, 0], [50, 50, 50, 50, 50, 0.5, 1, 0.5, 0.5, 0.5]
    ),
    "VARDIM-10.cut": MGH["VARDIM-10"].within(0, [10, 20, 30, 40, 50, 60, 70, 80, 90, 0.5]),
    "TRIG-10.cut": MGH["TRIG-10"].within(0.02, 9),
    "BROWNAL-10.cut": MGH["BROWNAL-10"].within(0, [0.97] * 9 + [1.3]),
    "BDVALUE-10.cut": MGH["BDVALUE-10"].within(-0.08, 0.6),
    "INTEQ-10.cut": MGH["INTEQ-10"].within(-0.5, [0] * 5 + [-0.1] * 5),
    "BROYTRI-10.cut": MGH["BROYTRI-10"].within(-0.5, inf),
    "BROYBAND-10.cut": MGH["BROYBAND-10"].within(-0.45, -0.3),
    "CHEBYQAD-8.cut": MGH["CHEBYQAD-8"].within([0, 0, 0.1, 0, 0, 0.5, 0, 0.9], [0.04, 0.2, 0.3, *[1] * 5]),
    "CHEBYQAD-10.wide": MGH["CHEBYQAD-10"].within(-1e6, 1e6),
    "MEYER.box": MGH["MEYER"].within([0, 1000, 0], [1, 1e4, 1000]),
    "MEYER.wide": MGH["MEYER"].within(-1e10, 1e10),
    "JENSAM.cut": MGH["JENSAM"].within([-inf, 0.3], [0.2, inf]),
}

# Every second parameter may fall by 0.7 and every third rise by 0.3.
_MIXED = (
    "EXTROSEN-1000 EXTSING-1000 BROYTRI-1000 BROYBAND-1000 BDVALUE-100 TRIG-100 PENALTY1-1000 VARDIM-100 "
    "CHAINWOO-4000 SINQUAD-5000 QF2-5000 ENGVAL1-5000 TRIDIA-5000 BDEXP-5000 GENROSE-1000 A-FREUD-5000 LIARWHD-5000 "
    "CRAGGLVY-5000 NONSCOMP-5000 COSINE-10000 NONDQUAR-5000 EDENSCH-2000 MCCORMCK-1000 BIGGSB1-5000 ARWHEAD-5000 "
    "BDQRTIC-5000 FLETCHCR-1000 RAYDAN1-5000 DIAG1-1000 DIAG3-1000 HAGER-5000 TOINTGSS-1000 EG2-1000 CURLY20-1000 "
    "POWER-1000 GTRI1-5000 HIMMEL-5000 CHAINCB-1000 GENHUMPS-1000 SCOSINE-1000"
)
# The start is a corner, every fifth parameter is fixed, or nothing may move by more than a thousandth.
_CORNERED = (
    "EXTROSEN-1000 BROYTRI-1000 QF2-5000 TRIDIA-5000 GENROSE-1000 NONSCOMP-5000 FLETCHCR-1000 INDEF-1000"
)
for _name in _MIXED.split():
    _x, _k = FREE[_name].start, np.arange(FREE[_name].start.size)
    PROBLEMS[f"{_name}.mixed"] = FREE[_name].within(
        np.where(_k % 2 == 0, _x - 0.7, -inf), np.where(_k % 3 == 0, _x + 0.3, inf)
    )
# Falls without limit between these bounds, too: of its second to fourth parameter (-t, 1, 1) costs about -t exp(t).
PROBLEMS["BDEXP-5000.mixed"] = replace(PROBLEMS["BDEXP-5000.mixed"], minimum=-inf)
for _name in _CORNERED.split():
    _x, _wide = FREE[_name].start, np.where(np.arange(FREE[_name].start.size) % 5 == 0, 0.0, 50.0)
    PROBLEMS[f"{_name}.corner"] = FREE[_name].within(_x, _x + 2)
    PROBLEMS[f"{_name}.fixed"] = FREE[_name].within(_x - _wide, _x + _wide)
    PROBLEMS[f"{_name}.narrow"] = FREE[_name].within(_x - 1e-3, _x + 1e-3)
