#include "http/range.h"
