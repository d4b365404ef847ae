# cmake -DINPUT=a.html -DOUTPUT=a.cc -DNAMESPACE=x::y -DSYMBOL=kA -P embed_text.cmake
#
# Writes a source file that holds a text file's content as `extern const char SYMBOL[]`. Cut into short literals: the
# standard promises no more than 65,536 characters for one.
file(READ ${INPUT} text)
string(LENGTH "${text}" length)
set(literals "")
set(at 0)
while(at LESS length)
  string(SUBSTRING "${text}" ${at} 8000 piece)
  string(APPEND literals "R\"EMBEDDED(${piece})EMBEDDED\"\n")
  math(EXPR at "${at} + 8000")
endwhile()
file(WRITE ${OUTPUT} "// Generated from ${INPUT}.\nnamespace ${NAMESPACE} {\nextern const char ${SYMBOL}[];\nconst char ${SYMBOL}[] =\n${literals};\n}  // namespace ${NAMESPACE}\n")
