from . import diffusion as diffusion
from . import estimate as estimate
from . import plot as plot
from . import sklearn as sklearn
from .core.answer import Answer as Answer
from .core.errors import PofxError as PofxError
from .core.errors import PofxWarning as PofxWarning
from .fitting.fit import fit as fit
from .fitting.stacking import stack as stack
from .joint.joint import Joint as Joint
from .joint.loading import load as load
from .named.decisions import Decisions as Decisions
from .named.divergences import compare as compare
from .named.divergences import cross_entropy as cross_entropy
from .named.divergences import jensen_shannon as jensen_shannon
from .named.divergences import kl as kl
from .report.page import write_report as write_report
from .table.schema import Schema as Schema
from .table.schema import Variable as Variable
from .table.text_embedding import embed_text as embed_text

__version__: str
