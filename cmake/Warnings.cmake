# bif_warnings is linked PRIVATE by every target of ours and by nothing generated.
add_library(bif_warnings INTERFACE)
target_compile_options(bif_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wunused-result
  -Wno-missing-field-initializers)
