# The few checks that autoconf has no macro for.

# LARDER_CFLAG(VARIABLE, FLAG)
# Append FLAG to VARIABLE if the compiler takes it without a word. -Werror makes clang's "argument
# unused" and gcc's "not supported for this target" count as a no.
AC_DEFUN([LARDER_CFLAG],
[AS_VAR_PUSHDEF([cache], [larder_cv_cflag_$2])dnl
AC_CACHE_CHECK([whether $CC accepts $2], [cache],
  [larder_save_CFLAGS=$CFLAGS
   CFLAGS="$CFLAGS $2 -Werror"
   AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
     [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
   CFLAGS=$larder_save_CFLAGS])
AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([cache])dnl
])

# LARDER_LDFLAG(VARIABLE, FLAG)
# The same for the linker.
AC_DEFUN([LARDER_LDFLAG],
[AS_VAR_PUSHDEF([cache], [larder_cv_ldflag_$2])dnl
AC_CACHE_CHECK([whether the linker accepts $2], [cache],
  [larder_save_LDFLAGS=$LDFLAGS
   LDFLAGS="$LDFLAGS $2 -Werror"
   AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
     [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
   LDFLAGS=$larder_save_LDFLAGS])
AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([cache])dnl
])

# LARDER_PACKAGE(VARIABLE, MODULES, WHAT IT IS, DEBIAN PACKAGE)
# A library that Larder cannot do without. When it is missing configure stops with one line that a
# person can act on, where pkg-config's own message takes fifteen. Its headers count as the system's
# wherever they lie: our warnings are for our own code (hiredis 1.x converts signs in its sds.h).
AC_DEFUN([LARDER_PACKAGE],
[PKG_CHECK_MODULES([$1], [$2], [],
  [AC_MSG_ERROR([$3 is missing (pkg-config: $2). On Debian: apt-get install $4])])
$1[]_CFLAGS=`AS_ECHO(["$][$1][_CFLAGS"]) | sed 's/-I/-isystem /g'`
])
