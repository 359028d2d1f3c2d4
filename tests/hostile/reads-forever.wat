;; world: classifier
;; Has the host copy the whole prompt again and again, always to the same place.

  (import "turnpike:policy/request@0.1.0" "message-text"
    (func $text (param i32 i32 i32 i32)))

  (memory (export "memory") 40)
  (global $next (mut i32) (i32.const 65536))
  (data (i32.const 0) "{name}")
  (data (i32.const 128) "0.1.0")
  (data (i32.const 160) "bad on purpose")

  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (i32.const 65536))

  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (loop $again
      (call $text (i32.const 0) (i32.const 0) (i32.const 1048576) (i32.const 2048))
      (br $again))
    (unreachable))
