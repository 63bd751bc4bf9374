#include "http/condition.h"
