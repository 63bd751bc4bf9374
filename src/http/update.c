#include "http/decide.h"
