"""How long a test waits for what must come before it says that it does not come.

No promise of the product: a busy machine is many times slower than a quiet one, and what is waited for comes
long before on both. It is over before the time that pytest gives a test.
"""

from typing import Final

GIVES_UP_S: Final = 240.0
