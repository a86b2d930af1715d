# Macros of this project's configure.ac.

# EMS_DEPENDENCY(VARIABLE, PKG-CONFIG MODULE, OTHER MODULE NAME or empty, DEBIAN PACKAGE)
# Sets VARIABLE_CFLAGS and VARIABLE_LIBS, or adds the package to $ems_missing.
# Missing ones are collected so that one run of configure names them all.
AC_DEFUN([EMS_DEPENDENCY], [
  PKG_CHECK_MODULES([$1], [$2], [], [
    m4_ifblank([$3], [ems_found=no], [
      PKG_CHECK_MODULES([$1], [$3], [ems_found=yes], [ems_found=no])])
    AS_IF([test "x$ems_found" = xno], [
      AC_MSG_WARN([$2 not found: it is in the Debian package $4])
      ems_missing="$ems_missing $4"])])
])

# EMS_MISSING_STOP: end configure if a dependency was missing.
AC_DEFUN([EMS_MISSING_STOP], [
  AS_IF([test -n "$ems_missing"], [
    AC_MSG_ERROR([missing libraries. On Debian: apt-get install$ems_missing])])
])

# EMS_COMPILER_FLAG(FLAG): append FLAG to EMS_CFLAGS when the compiler knows it.
AC_DEFUN([EMS_COMPILER_FLAG], [
  AC_MSG_CHECKING([whether $CC takes $1])
  ems_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $1"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes]); EMS_CFLAGS="$EMS_CFLAGS $1"],
    [AC_MSG_RESULT([no])])
  CFLAGS=$ems_save_CFLAGS
])

# EMS_SANITIZERS: --enable-sanitizers=LIST, a comma list of address, undefined, thread.
AC_DEFUN([EMS_SANITIZERS], [
  AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers=LIST],
      [build with sanitizers: a comma list of address, undefined, thread])],
    [], [enable_sanitizers=no])
  AS_CASE([$enable_sanitizers],
    [yes], [enable_sanitizers=address,undefined])
  AS_IF([test "x$enable_sanitizers" != xno], [
    for ems_one in `echo "$enable_sanitizers" | tr , ' '`; do
      AS_CASE([$ems_one], [address|undefined|thread], [],
        [AC_MSG_ERROR([--enable-sanitizers: no sanitizer "$ems_one" (address, undefined, thread)])])
    done
    ems_flags="-fsanitize=$enable_sanitizers -fno-omit-frame-pointer"
    # A finding of the undefined sanitizer must fail the test, not only print.
    AS_CASE([",$enable_sanitizers,"], [*,undefined,*],
      [ems_flags="$ems_flags -fno-sanitize-recover=undefined"])
    AC_MSG_CHECKING([whether $CC links with $ems_flags])
    ems_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $ems_flags"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       AC_MSG_ERROR([the compiler cannot link with $ems_flags])])
    CFLAGS=$ems_save_CFLAGS
    EMS_CFLAGS="$EMS_CFLAGS $ems_flags"
    EMS_LDFLAGS="$EMS_LDFLAGS $ems_flags"
    # It says at each fence that it does not model them.
    AS_CASE([",$enable_sanitizers,"], [*,thread,*], [EMS_COMPILER_FLAG([-Wno-tsan])])
  ])
])

# EMS_PYTHON: --with-python=PYTHON|no. Sets PYTHON, PYTHON_CPPFLAGS, pythondir, and the conditional WITH_PYTHON. It is the first
# python3 in PATH that has its headers, as the one that comes first may lack them.
AC_DEFUN([EMS_PYTHON], [
  AC_ARG_WITH([python],
    [AS_HELP_STRING([--with-python=PYTHON], [build the module for Python with this one, or "no" (default: the first python3 that has headers)])],
    [], [with_python=auto])
  AC_ARG_VAR([PYTHON], [Python 3.11 or later with its headers])
  AS_CASE([$with_python],
    [no], [ems_pythons=],
    [auto|yes], [AS_IF([test -n "$PYTHON"], [ems_pythons=$PYTHON], [
      ems_pythons=
      ems_save_IFS=$IFS; IFS=:
      for ems_dir in $PATH:/usr/bin; do
        AS_IF([test -x "$ems_dir/python3"], [ems_pythons="$ems_pythons $ems_dir/python3"])
      done
      IFS=$ems_save_IFS])],
    [ems_pythons=$with_python])
  PYTHON=
  ems_python_about="no"
  AC_MSG_CHECKING([for a Python with headers])
  for ems_one in $ems_pythons; do
    ems_about=`$ems_one -c 'if 1:
      import os, sys, sysconfig
      include = sysconfig.get_path("include")
      if sys.version_info < (3, 11) or sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
          sys.exit(1)
      if not os.path.exists(include + "/Python.h"):
          sys.exit(1)
      print(include, "%d.%d" % sys.version_info@<:@:2@:>@, os.path.basename(sysconfig.get_path("platlib")), sys.executable)' 2>/dev/null </dev/null` || continue
    set -- $ems_about
    test $[#] -eq 4 || continue
    PYTHON_CPPFLAGS="-isystem $[1]"
    PYTHON=$[4]
    pythondir="\${prefix}/lib/python$[2]/$[3]"
    # What comes with Debian itself is for all versions.
    AS_IF([test "x$prefix$[3]" = x/usrdist-packages], [pythondir="\${prefix}/lib/python3/dist-packages"])
    ems_python_about="$PYTHON ($[2])"
    break
  done
  AC_MSG_RESULT([$ems_python_about])
  AS_IF([test -z "$PYTHON"], [
    AS_CASE([$with_python],
      [no], [ems_python_about="no (--with-python=no)"],
      [auto], [ems_python_about="no (no Python 3.11 or later with headers: Debian package python3-dev)"],
      [AC_MSG_ERROR([--with-python=$with_python: this is no CPython 3.11 or later that has its headers (on Debian: python3-dev)])])])
  AC_SUBST([PYTHON])
  AC_SUBST([PYTHON_CPPFLAGS])
  AC_SUBST([pythondir])
  AM_CONDITIONAL([WITH_PYTHON], [test -n "$PYTHON"])
])

# EMS_NODE: --with-node=auto|no|DIR, DIR being where the package goes. Sets NODE, NODE_CPPFLAGS, nodedir, and the conditional
# WITH_NODE. It is the first node in PATH that has its headers.
AC_DEFUN([EMS_NODE], [
  AC_ARG_WITH([node],
    [AS_HELP_STRING([--with-node=DIR], [build the package for Node.js and install it in DIR, or "no" (default: when there is a node with headers, LIBDIR/node_modules)])],
    [], [with_node=auto])
  AC_ARG_VAR([NODE], [Node.js 18 or later with its headers])
  AC_MSG_CHECKING([for a node with headers])
  ems_node_about="no (no Node.js 18 or later with headers: Debian packages nodejs and libnode-dev)"
  ems_nodes=
  AS_IF([test -n "$NODE"], [ems_nodes=$NODE], [
    ems_save_IFS=$IFS; IFS=:
    for ems_dir in $PATH:/usr/bin; do
      AS_IF([test -x "$ems_dir/node"], [ems_nodes="$ems_nodes $ems_dir/node"])
    done
    IFS=$ems_save_IFS])
  NODE=
  AS_CASE([$with_node,$enable_sanitizers],
    [no,*], [ems_nodes= ems_node_about="no (--with-node=no)"],
    [*,no], [],
    [ems_nodes= ems_node_about="no (node itself is without sanitizers)"])
  for ems_one in $ems_nodes; do
    ems_include=`$ems_one -e 'if (Number(process.versions.node.split(".")@<:@0@:>@) < 18) process.exit(1);
      console.log(require("path").resolve(require("fs").realpathSync(process.execPath), "../../include/node"))' 2>/dev/null </dev/null` || continue
    AS_IF([test -e "$ems_include/node_api.h"], [
      NODE=$ems_one
      NODE_CPPFLAGS="-isystem $ems_include"
      ems_node_about="$NODE (`$NODE --version`)"
      break])
  done
  AC_MSG_RESULT([$ems_node_about])
  AS_CASE([$with_node],
    [auto|no], [],
    [AS_IF([test -z "$NODE"], [AC_MSG_ERROR([--with-node=$with_node: there is $ems_node_about])])])
  AS_CASE([$with_node],
    [auto|yes|no], [nodedir="\${libdir}/node_modules"],
    [nodedir=$with_node])
  AC_SUBST([NODE])
  AC_SUBST([NODE_CPPFLAGS])
  AC_SUBST([nodedir])
  AM_CONDITIONAL([WITH_NODE], [test -n "$NODE"])
])
